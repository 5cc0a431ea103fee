"""Pictures of a study."""

from pathlib import Path

from ...spectral.objectives import OBJECTIVES
from ..store.ledger import TrialRecord
from .leaderboard import Row

#: Okabe-Ito colours, distinct in every common colour blindness.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#8A8A8A"


def plot_study(trials: list[TrialRecord], rows: list[Row], objective: str, title: str, path: Path) -> None:
    """Draws the study to `path` (PNG): warm-up accuracy against its objective, and final accuracies, if any."""
    from matplotlib.figure import Figure

    finals = [row for row in rows if row.accuracy_final is not None]
    figure = Figure(figsize=(11 if finals else 6.6, 4.4), layout="constrained")
    axes = figure.subplots(1, 2, width_ratios=(3, 2)) if finals else [figure.subplots()]
    _scatter(axes[0], trials, OBJECTIVES[objective].label)
    if finals:
        _finals(axes[1], finals)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _scatter(axes, trials: list[TrialRecord], score: str) -> None:
    sources = sorted({trial.distribution.source for trial in trials})
    trained = [trial for trial in trials if "accuracy/val" in trial.result]
    for source, colour in zip(sources, _COLOURS * len(sources), strict=False):
        points = [trial for trial in trained if trial.distribution.source == source]
        finished = [t for t in points if t.outcome == "finished"]
        stopped = [t for t in points if t.outcome != "finished"]
        for group, face, label in ((finished, colour, source), (stopped, "none", None)):
            axes.scatter(
                [t.result["spectral/objective"] for t in group],
                [t.result["accuracy/val"] for t in group],
                s=42,
                facecolors=face,
                edgecolors=colour,
                linewidths=1.4,
                label=label if points else None,
                zorder=3,
            )
    gated = [t.result["spectral/objective"] for t in trials if t.outcome == "stopped-by-gate"]
    if gated:
        # A rug below the axis: trials without an accuracy still have a score.
        rug = axes.get_xaxis_transform()
        heights = [0.02] * len(gated)
        axes.scatter(
            gated, heights, marker="|", s=60, color=_GREY, label="stopped by the gate", transform=rug, zorder=2
        )
    scores = gated + [t.result["spectral/objective"] for t in trained]
    if scores:
        # The rug's points are not in data coordinates and do not widen the axis by themselves.
        margin = 0.05 * (max(scores) - min(scores)) or 1.0
        axes.set_xlim(min(scores) - margin, max(scores) + margin)
    axes.set_xlabel(f"{score} of the trial's best mask")
    axes.set_ylabel("last warm-up accuracy (validation)")
    axes.set_title(f"Does the {score} predict accuracy? (hollow: stopped early)", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    if scores:
        axes.legend(fontsize=8, frameon=False, loc="best")


def _finals(axes, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.accuracy_final)
    for height, row in enumerate(rows):
        axes.plot(row.accuracy_final, height, "o", markersize=9, color=_COLOURS[0] if row.digest else _GREY)
        axes.annotate(
            f"{row.accuracy_final:.3f}",
            (row.accuracy_final, height),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    labels = [f"{row.label} ({row.source})" if row.digest else f"{row.label} (baseline)" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.15)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("accuracy")
    axes.set_title("Test accuracy after full training", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
