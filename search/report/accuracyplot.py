"""The picture of what full training came to: the best masks beside the baselines, each with its error."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..protocol.label import ERK_RANDOM, ERK_RANDOM_EQUAL_COST
from .comparison import interval
from .leaderboard import Row
from .picture import save_picture, set_heading, set_title
from .style import GREY, PALE, VERMILION, baseline_shape, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Most masks that have a line of their own; the others share one.
_MOST = 20

#: The least width of the axis: of less than ten points of accuracy, noise would look like a difference.
_LEAST_WIDTH = 0.1


@dataclass(frozen=True)
class _Line:
    """One line of the picture."""

    name: str
    accuracy: float
    low: float
    high: float
    colour: str
    shape: str
    filled: bool


def plot_accuracies(rows: Sequence[Row], images: int | None, classes: int | None, title: str, path: Path) -> None:
    """Draw test accuracies after full training to `path`, the winner first, then the other masks, then the baselines.

    A line is the 95 % interval of the choice of `images` test images, left out where their number is not known. The
    band is the winner's. The axis holds chance, 1 / `classes`, where that is near, and is never narrower than a tenth.
    """
    from matplotlib.figure import Figure

    trained = [row for row in rows if row.accuracy_final is not None]
    masks = [row for row in trained if not row.is_baseline]
    baselines = [row for row in trained if row.is_baseline]
    lines = _lines(masks[:_MOST], images) + _folded(masks[_MOST:]) + _lines(baselines, images)
    figure = Figure(figsize=(8.8, 1.3 + 0.27 * max(len(lines), 3)), layout="constrained")
    axes = figure.subplots()
    _draw(axes, lines, bool(masks))
    if masks and baselines:
        axes.axhline(len(lines) - len(baselines) - 0.5, color="black", linewidth=0.8)
    if classes:
        axes.axvline(1 / classes, color=VERMILION, linewidth=1, linestyle=":")
        axes.text(
            1 / classes,
            0.01,
            f" guessing one of {classes:,}",
            transform=axes.get_xaxis_transform(),
            fontsize=7,
            clip_on=True,
        )
    limit_accuracies(axes, min(line.low for line in lines), max(line.high for line in lines))
    error = f", and its 95 % interval ({images:,} test images)" if images else ""
    axes.set_xlabel(f"test accuracy after full training{error}", fontsize=9)
    set_heading(axes, "The best masks in the order of their validation accuracy, and the baselines")
    set_title(figure, title)
    save_picture(figure, path)


def _lines(rows: Sequence[Row], images: int | None) -> list[_Line]:
    found = []
    looks = styles(row.source for row in rows if not row.is_baseline)
    for row in rows:
        accuracy = row.accuracy_final or 0.0
        low, high = interval([accuracy], images) if images else (accuracy, accuracy)
        if row.is_baseline:
            found.append(_Line(row.label, accuracy, low, high, GREY, baseline_shape(row.label), False))
        else:
            style = looks[row.source]
            found.append(_Line(f"{row.label} ({row.source})", accuracy, low, high, style.colour, style.shape, True))
    return found


def _folded(rows: Sequence[Row]) -> list[_Line]:
    """Return one line for all of `rows`, from the least to the greatest of their accuracies."""
    if not rows:
        return []
    accuracies = sorted(row.accuracy_final or 0.0 for row in rows)
    middle = accuracies[len(accuracies) // 2]
    return [
        _Line(
            f"{len(rows):,} more masks: median, least to best", middle, accuracies[0], accuracies[-1], GREY, "|", True
        )
    ]


def _draw(axes: "Axes", lines: Sequence[_Line], marked: bool) -> None:
    """Draw the lines from the top down, and mark the first where it is a winner."""
    if marked:
        axes.axvspan(lines[0].low, lines[0].high, color=PALE, zorder=0)
    for height, line in enumerate(lines):
        won = marked and height == 0
        axes.hlines(height, line.low, line.high, color=line.colour, linewidth=2.6 if won else 1.4, zorder=2)
        axes.plot(
            line.accuracy,
            height,
            line.shape,
            markersize=10 if won else 7,
            color=line.colour,
            markerfacecolor=line.colour if line.filled else "white",
            markeredgecolor="black" if won else line.colour,
            zorder=3,
        )
        axes.annotate(
            f"{line.accuracy:.4f}",
            (1, height),
            (4, 0),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            fontsize=8,
            fontweight="bold" if won else "normal",
            annotation_clip=False,
        )
    names = [f"the best: {line.name}" if marked and not height else line.name for height, line in enumerate(lines)]
    axes.set_yticks(range(len(lines)), names, fontsize=8, parse_math=False)
    for height, (label, line) in enumerate(zip(axes.get_yticklabels(), lines, strict=True)):
        if (marked and not height) or line.name in (ERK_RANDOM, ERK_RANDOM_EQUAL_COST):
            label.set_fontweight("bold")
    axes.set_ylim(len(lines) - 0.4, -0.6)


def limit_accuracies(axes: "Axes", low: float, high: float) -> None:
    """Limit an axis to accuracies from `low` to `high`, widened to `_LEAST_WIDTH` within [0, 1], with a margin."""
    missing = max(_LEAST_WIDTH - (high - low), 0.0)
    high = min(high + missing / 2, 1.0)
    low = max(min(low, high - _LEAST_WIDTH), 0.0)
    high = max(high, low + _LEAST_WIDTH)
    margin = 0.03 * (high - low)
    axes.set_xlim(low - margin, high + margin)
