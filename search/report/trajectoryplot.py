"""The picture of a mask that changes while it trains: its coordinate over the iterations."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..scores.registry import DISTANCE
from .layerplot import TITLES, scale_about_zero
from .picture import check_picture, save_picture, say, set_heading, set_title
from .style import BLUE, GREEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What each panel shows, row by row; accuracy is measured at iterations of its own.
_HEADINGS = {
    DISTANCE: "full-spectrum L2 distance",
    "defined_layers": "layers with all four components defined",
    **{name: f"mean {heading}" for name, heading in TITLES.items()},
    "accuracy": "validation accuracy",
    "sparsity": "sparsity of the mask",
}

#: How many times the median of its values a value must be for an axis that is logarithmic far from zero.
_WIDE = 10


def plot_trajectory(
    coordinates: Mapping[int, Mapping[str, float]], accuracies: Mapping[int, float], title: str, path: Path
) -> None:
    """Draw coordinate, accuracy and sparsity over the iterations to `path`; the suffix says the format (png, pdf, svg).

    `coordinates` holds the values of `CoordinateProgress`, and `accuracies` validation accuracies in [0, 1], by
    iteration. A line is broken where its value is undefined. Axes of the coordinate are linear about zero and
    logarithmic far from it where the values differ by much, as they do where a mask starts dense. Raises InputError as
    `check_picture` does.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    figure = Figure(figsize=(10, 10), layout="constrained")
    axes = figure.subplots(4, 2, sharex=True)
    for panel, (name, heading) in zip(axes.flat, _HEADINGS.items(), strict=True):
        values = {at: found.get(name, math.nan) for at, found in coordinates.items()}
        _line(panel, values if name != "accuracy" else accuracies, GREEN if name == "accuracy" else BLUE)
        set_heading(panel, heading)
        if name in (DISTANCE, *TITLES):
            _widen(panel, np.array(list(values.values())))
    layers, sparsity = axes.flat[1], axes.flat[7]
    layers.set_ylim(0)
    layers.yaxis.get_major_locator().set_params(integer=True)
    sparsity.set_ylim(-0.05, 1.05)
    for panel in axes[-1]:
        panel.set_xlabel("iteration")
    set_title(figure, title)
    save_picture(figure, path)


def _line(panel: "Axes", values: Mapping[int, float], colour: str) -> None:
    """Draw one value over the iterations, a dot for each measurement."""
    panel.plot(sorted(values), [values[at] for at in sorted(values)], "o-", color=colour, markersize=3, linewidth=1.2)
    panel.tick_params(labelsize=8)


def _widen(panel: "Axes", values: np.ndarray) -> None:
    """Draw zero where it is near, say where nothing is defined, and show values of different orders of magnitude."""
    magnitudes = np.abs(values[~np.isnan(values)])
    if not magnitudes.size:
        panel.set_yticks([])
        say(panel, "undefined in every layer")
    elif magnitudes.max() > _WIDE * np.median(magnitudes) > 0:
        scale_about_zero(panel, values[~np.isnan(values)])
