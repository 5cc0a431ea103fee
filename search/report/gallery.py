"""The pictures of a study: what each is called, what it shows, how to read it, and how it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..names import Artifact
from .accuracyplot import plot_accuracies
from .audit.audit import FEWEST
from .audit.picture import plot_audit
from .costplot import plot_cost
from .curveplot import counted, plot_curves
from .facts import StudyFacts
from .historyplot import plot_history, value_of
from .optunaplots import plot_importances, plot_slices
from .scoreplot import plot_scores
from .sparsityplot import plot_sparsities


@dataclass(frozen=True)
class Picture:
    """One picture of a study."""

    file: str
    """The name of its file, in the record too."""
    heading: str
    caption: str
    """How to read it."""
    shows: Callable[[StudyFacts], bool] = lambda facts: False
    """Whether the facts hold what it takes; never of a picture that is not drawn here."""
    draw: Callable[[StudyFacts, Path], None] = lambda facts, path: None
    recorded: bool = False
    """Whether it is part of the record."""


def _has_finals(facts: StudyFacts) -> bool:
    return any(row.accuracy_final is not None for row in facts.rows)


PICTURES = (
    Picture(
        Artifact.ACCURACY_PLOT,
        "Accuracy after full training",
        "Compare the winner with erk-random-equal-cost (bold). If that lies in the grey band, the winner's own "
        "interval, the mask has not been shown to be worth its search. Filled: masks, in colour and shape of their "
        "source; hollow: baselines.",
        _has_finals,
        lambda facts, path: plot_accuracies(facts.rows, facts.images("test"), facts.classes, facts.title, path),
        recorded=True,
    ),
    Picture(
        Artifact.SCORE_PLOT,
        "Score against accuracy",
        "A score that is worth trusting makes the points rise to the right. Ringed points trained whatever their "
        "score: they alone are a fair sample. Below, the bar is the cut of the gate in each group.",
        lambda facts: any(trial.result.accuracy is not None for trial in facts.trials),
        lambda facts, path: plot_scores(facts.study, facts.trials, facts.title, path),
        recorded=True,
    ),
    Picture(
        Artifact.AUDIT_PICTURE,
        "Every score's rank correlation",
        "A score ranks masks where its line stays right of 0 and its mark outside the grey zone; it is worth more than "
        "layer sparsities where that holds given layer density too.",
        lambda facts: facts.audit is not None and facts.audit.trainings >= FEWEST,
        lambda facts, path: plot_audit(facts.audit, facts.title, path) if facts.audit else None,
        recorded=True,
    ),
    Picture(
        Artifact.COST_PLOT,
        "Accuracy against cost",
        "Up and to the left is better. The line is the Pareto front of sparse networks: what lies below it is bettered "
        "by something that cost no more.",
        lambda facts: any(row.accuracy_final is not None and row.cost for row in facts.rows),
        lambda facts, path: plot_cost(facts.trials, facts.rows, facts.title, path),
        recorded=True,
    ),
    Picture(
        Artifact.HISTORY_PLOT,
        "History of the search",
        "Where the black line has long been flat, more trials would hardly help; where it still rises, they would. "
        "Hollow: stopped early.",
        lambda facts: any(value_of(facts.study, trial) is not None for trial in facts.trials),
        lambda facts, path: plot_history(facts.study, facts.trials, facts.title, path),
        recorded=True,
    ),
    Picture(
        Artifact.CURVE_PLOT,
        "Learning curves of the warm-ups",
        "Curves that cross after a rung say that early stopping was too early there (warmup.grace_period); curves that "
        "still rise at the end, that the warm-up is short.",
        lambda facts: any(counted(trial) for trial in facts.trials),
        lambda facts, path: plot_curves(
            facts.study, facts.trials, facts.best.label if facts.best else None, facts.title, path
        ),
    ),
    Picture(
        Artifact.SPARSITY_PLOT,
        "Layer sparsities",
        "A mark above its hatched bar: the mask keeps more of that layer than ERK does. The axis is logarithmic in "
        "what is kept.",
        lambda facts: bool(facts.sparsities),
        lambda facts, path: plot_sparsities(facts.sparsities, facts.erk, facts.title, path),
    ),
    Picture(
        Artifact.COORDINATE_PICTURE,
        "Coordinate of the best mask, layer by layer",
        "Grey boxes are random masks of the same layer sparsities: a filled mark outside its box is a property of "
        "which weights are kept, and not of how many.",
    ),
    Picture(
        Artifact.IMPORTANCE_PLOT,
        "Importance of what was searched",
        "The longer a bar, the more of the difference between good trials and others goes with that setting (Optuna's "
        "PED-ANOVA). It says nothing on which value is better: see the slices.",
        lambda facts: facts.searched is not None and bool(facts.searched.important),
        lambda facts, path: plot_importances(facts.searched, facts.title, path) if facts.searched else None,
    ),
    Picture(
        Artifact.SLICE_PLOT,
        "Slices of what was searched",
        "Each point is a trial, darker the later it came. A slope says which values are better; other settings vary "
        "along with it.",
        lambda facts: facts.searched is not None and bool(facts.searched.important),
        lambda facts, path: plot_slices(facts.searched, facts.title, path) if facts.searched else None,
    ),
)


def draw_recorded(facts: StudyFacts, folder: Path) -> list[Path]:
    """Draw the pictures of the record into `folder`, those that there is something to show in; return their files."""
    return [folder / each.file for each in PICTURES if each.recorded and draw(each, facts, folder)]


def draw(picture: Picture, facts: StudyFacts, folder: Path) -> bool:
    """Draw a picture into `folder`, where the facts hold what it takes; return whether they do."""
    shows = picture.shows(facts)
    if shows:
        picture.draw(facts, folder / picture.file)
    return shows
