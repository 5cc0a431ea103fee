"""The picture of a study: its objective beside accuracy, and what full training came to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..protocol.outcome import Outcome
from ..scores.registry import score_called
from ..store.records import TrialRecord
from .leaderboard import Row
from .picture import COLOURS, GREY, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_study(trials: list[TrialRecord], rows: list[Row], objective: str, title: str, path: Path) -> None:
    """Draw the study to `path` (PNG): warm-up accuracy against its objective, and final accuracies, if any."""
    from matplotlib.figure import Figure

    finals = [(row.accuracy_final, row) for row in rows if row.accuracy_final is not None]
    figure = Figure(figsize=(11 if finals else 6.6, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(3, 2)) if finals else [figure.subplots()]
    _scatter(axes[0], trials, score_called(objective).label)
    if finals:
        _finals(axes[1], sorted(finals, key=lambda final: final[0]))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(figure, path)


def _scatter(axes: "Axes", trials: list[TrialRecord], score: str) -> None:
    """Draw the trials that trained, and below them the scores of those that the gate stopped."""
    trained = [trial for trial in trials if trial.result.accuracy is not None]
    gated = [trial for trial in trials if trial.outcome is Outcome.STOPPED_BY_GATE]
    _points(axes, trained, sorted({trial.distribution.source for trial in trials}))
    if gated:
        # A rug below the axis: trials without an accuracy still have a score.
        heights, rug = [0.02] * len(gated), axes.get_xaxis_transform()
        label = "stopped by the gate"
        axes.scatter(_scores(gated), heights, marker="|", s=60, color=GREY, label=label, transform=rug, zorder=2)
    if scores := _scores(gated + trained):
        # The rug's points are not in data coordinates and do not widen the axis by themselves.
        margin = 0.05 * (max(scores) - min(scores)) or 1.0
        axes.set_xlim(min(scores) - margin, max(scores) + margin)
        axes.legend(fontsize=8, frameon=False, loc="best")
    axes.set_xlabel(f"{score} of the trial's best mask")
    axes.set_ylabel("last warm-up accuracy (validation)")
    axes.set_title(f"Does the {score} predict accuracy? (hollow: stopped early)", fontsize=10, loc="left")
    axes.grid(alpha=0.25)


def _points(axes: "Axes", trained: list[TrialRecord], sources: Sequence[str]) -> None:
    """Draw a point for each trial in the colour of its source, hollow where its warm-up was stopped early."""
    for source, colour in zip(sources, COLOURS * len(sources), strict=False):
        points = [trial for trial in trained if trial.distribution.source == source]
        finished = [trial for trial in points if trial.outcome is Outcome.FINISHED]
        stopped = [trial for trial in points if trial.outcome is not Outcome.FINISHED]
        for group, face, label in ((finished, colour, source), (stopped, "none", None)):
            axes.scatter(
                _scores(group),
                [trial.result.accuracy or 0.0 for trial in group],
                s=42,
                facecolors=face,
                edgecolors=colour,
                linewidths=1.4,
                label=label if points else None,
                zorder=3,
            )


def _scores(trials: list[TrialRecord]) -> list[float]:
    return [trial.result.objective for trial in trials if trial.result.objective is not None]


def _finals(axes: "Axes", finals: list[tuple[float, Row]]) -> None:
    """Draw test accuracies after full training, from the lowest up."""
    for height, (accuracy, row) in enumerate(finals):
        axes.plot(accuracy, height, "o", markersize=9, color=GREY if row.is_baseline else COLOURS[0])
        axes.annotate(
            f"{accuracy:.3f}",
            (accuracy, height),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    labels = [f"{row.label} ({'baseline' if row.is_baseline else row.source})" for _, row in finals]
    axes.set_yticks(range(len(finals)), labels, fontsize=8)
    axes.set_ylim(-0.6, len(finals) - 0.4)
    axes.margins(x=0.15)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("accuracy")
    axes.set_title("Test accuracy after full training", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
