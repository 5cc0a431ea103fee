"""Optuna's own pictures of what mattered: importances of what was searched, and a slice for each of them."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, create_trial

from ..store.ledger import MASKS, TRAINING, Ledger
from ..store.records import TrialRecord
from .picture import save_picture, set_title
from .reached import reached, reached_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

optuna.logging.set_verbosity(optuna.logging.WARNING)

#: Fewest trials with a value of which importances say anything.
FEWEST = 10

#: Most settings that have a slice of their own: the most important.
_MOST_SLICES = 6

#: Most letters of the names below a slice that stand side by side.
_LETTERS = 20

#: Most settings whose importance is drawn.
_MOST = 20


@dataclass(frozen=True)
class Searched:
    """All that a study searched, and what it came to, as one of Optuna's studies."""

    target: str
    """What the values are."""
    study: optuna.Study

    @cached_property
    def important(self) -> list[str]:
        """The settings that took more than one value, the most important first; none of too few trials."""
        trials = self.study.trials
        if len(trials) < FEWEST or len({trial.value for trial in trials}) < 2:
            return []
        values: dict[str, set[Any]] = {}
        for trial in trials:
            for name, value in trial.params.items():
                values.setdefault(name, set()).add(value)
        varied = [name for name, each in values.items() if len(each) > 1]
        with _quiet():
            return list(optuna.importance.get_param_importances(self.study, params=varied)) if varied else []


def searched(ledger: Ledger) -> Searched:
    """Return what a study searched, with the accuracy that all trials have which trained.

    That is the one where early stopping has chosen nothing yet: a longer warm-up is no merit of a setting. Of a study
    without warm-ups the values are its score. Trials without a value are left out.
    """
    found, study = optuna.create_study(direction="maximize"), ledger.study
    training = {trial.number: trial for trial in ledger.all_trials(TRAINING)}
    for trial in ledger.all_trials(MASKS):
        record = TrialRecord.of(trial)
        value = reached(study, record) if study.warmup.iterations else record.result.objective
        if value is not None:
            found.add_trial(_joined(trial, training.get(trial.number), value))
    warmed = f"accuracy after {reached_at(study):,} iterations"
    return Searched(warmed if study.warmup.iterations else f"score {study.score}", found)


def _joined(masks: FrozenTrial, training: FrozenTrial | None, value: float) -> FrozenTrial:
    """Return a trial with the parameters of its two halves."""
    params, distributions = dict(masks.params), dict(masks.distributions)
    if training is not None:
        params |= {f"training.{name}": each for name, each in training.params.items()}
        distributions |= {f"training.{name}": each for name, each in training.distributions.items()}
    return create_trial(value=value, params=params, distributions=distributions)


def plot_importances(searched: Searched, title: str, path: Path) -> None:
    """Draw Optuna's importances of the settings that were searched to `path`."""
    names = searched.important[:_MOST]

    def draw() -> None:
        from optuna.visualization.matplotlib import plot_param_importances

        plot_param_importances(searched.study, params=names, target_name=searched.target)

    _save(draw, (8.8, 1.8 + 0.3 * len(names)), title, path)


def plot_slices(searched: Searched, title: str, path: Path) -> None:
    """Draw what each trial came to over each of the most important settings to `path`, as Optuna does."""
    names = searched.important[:_MOST_SLICES]

    def draw() -> None:
        from optuna.visualization.matplotlib import plot_slice

        plot_slice(searched.study, params=names, target_name=searched.target)

    _save(draw, (max(2.6 * len(names), 6), 3.8), title, path)


def _save(draw: Callable[[], None], size: tuple[float, float], title: str, path: Path) -> None:
    """Save a figure that Optuna draws by pyplot, whose settings and figures are as before afterwards."""
    import matplotlib
    from matplotlib import pyplot

    with _quiet(), matplotlib.rc_context({"figure.figsize": size, "figure.constrained_layout.use": True}):
        draw()
        figure = pyplot.gcf()
        try:
            figure.set_size_inches(*size)
            figure.set_facecolor("white")
            for panel in figure.axes:
                if _crowded(panel):
                    panel.tick_params(axis="x", labelrotation=90, labelsize=8)
            set_title(figure, title)
            save_picture(figure, path)
        finally:
            pyplot.close(figure)


def _crowded(panel: "Axes") -> bool:
    """Return whether the names below a panel would run into each other."""
    return sum(len(label.get_text()) for label in panel.get_xticklabels()) > _LETTERS


class _quiet(warnings.catch_warnings):
    """Passes over the warnings that Optuna's pictures are experimental."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore", ExperimentalWarning)
