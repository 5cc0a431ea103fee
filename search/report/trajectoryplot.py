"""The picture of a mask that changes while it trains: its coordinate over the iterations."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..scores.registry import DISTANCE
from .layerplot import TITLES
from .picture import check_picture, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREEN, _GREY = "#0072B2", "#009E73", "#6E6E6E"

#: The panels, row by row, and their headings; what is drawn in one of the last row is no part of the coordinate.
_COORDINATE = {DISTANCE: "full-spectrum L2 distance", "defined_layers": "layers with a defined coordinate", **TITLES}
_ACCURACY, _SPARSITY = "validation accuracy", "sparsity of the mask"


def plot_trajectory(
    coordinates: Mapping[int, Mapping[str, float]], accuracies: Mapping[int, float], title: str, path: Path
) -> None:
    """Draw the coordinate, accuracy and sparsity over the iterations to `path`; the suffix says the format.

    `coordinates` holds the values of `CoordinateProgress` and `accuracies` the validation accuracy, in [0, 1], by
    iteration. A panel whose value is defined at no iteration says so; a line is broken where it is undefined at one.
    Raises InputError as `check_picture` does.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots(4, 2, sharex=True)
    iterations = sorted(coordinates)
    series = {name: {i: coordinates[i][name] for i in iterations if name in coordinates[i]} for name in _COORDINATE}
    for panel, (name, heading) in zip(axes.flat, _COORDINATE.items(), strict=False):
        _line(panel, heading, [series[name].get(i) for i in iterations], iterations, _BLUE)
    accuracy, sparsity = axes[-1]
    _line(accuracy, _ACCURACY, [accuracies[i] for i in sorted(accuracies)], sorted(accuracies), _GREEN)
    _line(sparsity, _SPARSITY, [coordinates[i].get("sparsity") for i in iterations], iterations, _GREY)
    for panel in axes[-1]:
        panel.set_xlabel("iteration")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    save_picture(figure, path)


def _line(panel: "Axes", heading: str, values: "list[float | None]", iterations: list[int], colour: str) -> None:
    """Draw one value over the iterations, a dot for each measurement."""
    panel.set_title(heading, fontsize=10, loc="left")
    if all(value is None for value in values):
        panel.set_yticks([])
        where = panel.transAxes
        panel.text(0.5, 0.5, "undefined in every layer", color=_GREY, transform=where, ha="center", va="center")
        return
    numbers = [float("nan") if value is None else value for value in values]
    panel.plot(iterations, numbers, "o-", color=colour, markersize=3, linewidth=1.2)
    panel.ticklabel_format(useOffset=False, style="plain", axis="x")
    panel.grid(alpha=0.25)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=8)
