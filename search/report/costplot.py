"""The picture of what accuracy costs: masks and baselines by the optimizer steps behind them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..protocol.label import DENSE
from ..store.records import TrialRecord
from .leaderboard import Row
from .picture import save_picture, set_heading, set_legend, set_title
from .style import GREY, Style, baseline_shape, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The factor between the greatest and the least cost from which the axis is logarithmic.
_SPREAD = 8

#: The error of an accuracy of 1 on the axis, whose logarithm would be infinite.
_LEAST_ERROR = 0.005

#: Accuracies that are marked on the axis.
_TICKS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 1.0)

Point = tuple[int, float]
"""Cost (optimizer steps) and accuracy (in [0, 1])."""


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """Return the points that are more accurate than all that cost no more, cheapest first; of equals one."""
    front: list[Point] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def plot_cost(trials: Sequence[TrialRecord], rows: Sequence[Row], title: str, path: Path) -> None:
    """Draw accuracy against cost to `path` (PNG): full trainings, at least one, and lighter the warm-ups.

    The front is that of the full trainings of sparse networks: the dense one stands beside it.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    axes = figure.subplots()
    full = [(row, (row.cost, row.accuracy_final)) for row in rows if row.cost and row.accuracy_final is not None]
    warm = [
        (trial.distribution.source, (trial.result.cost, trial.result.accuracy))
        for trial in trials
        if trial.result.cost and trial.result.accuracy is not None
    ]
    points = [point for _, point in [*full, *warm]]
    _scales(axes, points)
    looks = styles([source for source, _ in warm] + [row.source for row, _ in full if not row.is_baseline])
    _warmups(axes, warm, looks)
    _full_trainings(axes, full, looks)
    _front(axes, [point for row, point in full if row.label != DENSE], max(cost for cost, _ in points))
    axes.set_xlabel("optimizer steps in all, from the initial weights on")
    axes.set_ylabel("accuracy")
    set_heading(axes, "Test accuracy after full training (light: warm-ups, validation)")
    set_legend(axes)
    set_title(figure, title)
    save_picture(figure, path)


def _scales(axes: "Axes", points: Sequence[Point]) -> None:
    """Make an axis of costs, logarithmic where they lie far apart, and one of accuracies by the logarithm of the error.

    Networks that hardly err are as far apart as those that often do.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    costs, accuracies = zip(*points, strict=True)
    if max(costs) > _SPREAD * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_yscale("function", functions=(_depth, _accuracy))
    ends = _depth(np.array([min(accuracies), max(accuracies)]))
    margin = 0.06 * (ends[1] - ends[0]) or 0.1
    axes.set_ylim(*_accuracy(ends + [-margin, margin]))
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in _TICKS if low <= tick <= high] or [min(accuracies)])
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _depth(accuracy: np.ndarray) -> np.ndarray:
    """Return the height of an accuracy; that of one without an error is finite."""
    # Beyond the limits of the axis nothing is seen.
    return -np.log(np.maximum(1 + _LEAST_ERROR - accuracy, 1e-12))


def _accuracy(depth: np.ndarray) -> np.ndarray:
    """Return the accuracy at a height."""
    accuracy: np.ndarray = 1 + _LEAST_ERROR - np.exp(-depth)
    return accuracy


def _warmups(axes: "Axes", warm: Sequence[tuple[str, Point]], looks: Mapping[str, Style]) -> None:
    for source, style in looks.items():
        own = [point for name, point in warm if name == source]
        if own:
            places = zip(*sorted(own), strict=True)
            look: dict[str, Any] = {"color": style.colour, "markersize": 6, "alpha": 0.4, "markeredgewidth": 0}
            axes.plot(*places, style.shape, label=source, zorder=2, **look)


def _full_trainings(axes: "Axes", full: Sequence[tuple[Row, Point]], looks: Mapping[str, Style]) -> None:
    """Draw a point for each mask in the colour and shape of its source, and for each baseline a hollow one."""
    best = next((row.label for row, _ in full if not row.is_baseline), None)
    for row, point in full:
        won = row.label == best
        axes.plot(
            *point,
            baseline_shape(row.label) if row.is_baseline else looks[row.source].shape,
            markersize=8,
            color=GREY if row.is_baseline else looks[row.source].colour,
            markerfacecolor="white" if row.is_baseline else looks[row.source].colour,
            markeredgecolor="black" if won else GREY if row.is_baseline else "white",
            label=f"{row.label}, the best ({row.source})" if won else row.label if row.is_baseline else row.source,
            zorder=4 if row.is_baseline else 5 + won,
        )


def _front(axes: "Axes", points: Sequence[Point], end: int) -> None:
    """Draw the Pareto front of the points as steps, on to the cost at which the picture ends."""
    front = pareto_front(points)
    if front:
        costs, accuracies = zip(*front, (end, front[-1][1]), strict=True)
        axes.plot(costs, accuracies, drawstyle="steps-post", color="black", linewidth=1, label="Pareto front", zorder=3)
