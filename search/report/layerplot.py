"""The picture of one mask set: its coordinate layer by layer, beside chance."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...spectral.chance import ZScore
from ...spectral.coordinate import FIELDS, Coordinate
from .picture import check_picture, save_picture, say, set_heading, set_title
from .style import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PALE = "#D0D0D0"
#: The components as pictures name them.
TITLES = {
    "ramanujan_gap": "Δr  Ramanujan gap",
    "imdb": "Δr_imdb  over nested subgraphs",
    "weighted_gap": "λ  weighted spectral gap",
    "imsg": "λ_imsg  over nested subgraphs",
}

_CHANCE = "chance: random masks of the same layer sparsities, mean ± 2 standard deviations"
_BEYOND = "this mask, beyond 2 standard deviations of chance"
_WITHIN = "this mask, within them, or with nothing to compare"
#: Layers whose names still fit below the axis.
_NAMED = 150

#: Characters of a name that still fit there.
_LETTERS = 40


def plot_coordinate(coordinate: Coordinate, chance: Mapping[str, Mapping[str, ZScore]], title: str, path: Path) -> None:
    """Draw the four components of every layer over its sparsity to `path`; the suffix says the format (png, pdf, svg).

    Grey is what uniform random masks of the same layer sparsities score on the same weights, `chance` of
    `Coordinate.chance`: their mean, and two standard deviations to both sides. A mask is drawn filled where it lies
    beyond those, and hollow where it does not or nothing can be said. A component that is undefined is left out.
    The axes are linear about zero and logarithmic far from it, as one unpruned layer may score a hundred
    times what the others do. Raises InputError as `check_picture` does.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    names = list(coordinate.layers)
    figure = Figure(figsize=(min(7 + 0.22 * len(names), 18), 11), layout="constrained")
    axes = figure.subplots(len(FIELDS) + 1, 1, sharex=True, height_ratios=[*[3] * len(FIELDS), 1.4])
    for panel, field in zip(axes, FIELDS, strict=False):
        _component(panel, field, coordinate, chance)
    _sparsities(axes[-1], coordinate)
    name_layers(axes[-1], names)
    set_title(figure, title)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower left")
    save_picture(figure, path)


def name_layers(axes: "Axes", names: Sequence[str]) -> None:
    """Write the names of layers below an axis that has a place for each, as far as they fit."""
    axes.set_xlim(-0.8, len(names) - 0.2)
    if len(names) <= _NAMED:
        axes.set_xticks(range(len(names)), list(map(_short, names)), rotation=90, fontsize=7, parse_math=False)
    else:
        axes.set_xlabel("layer")


def _short(name: str) -> str:
    """Return the end of a long name, which tells layers apart."""
    name = name.removesuffix(".weight")
    return name if len(name) <= _LETTERS else "…" + name[1 - _LETTERS :]


def _component(panel: "Axes", field: str, coordinate: Coordinate, chance: Mapping[str, Mapping[str, ZScore]]) -> None:
    z_scores = [chance[name][field] for name in coordinate.layers]
    values, means, spreads, scores = np.array([(one.value, one.mean, one.std, one.z) for one in z_scores]).T
    places, beyond = np.arange(len(values)), np.abs(scores) > 2
    panel.bar(places, 4 * spreads, 0.8, means - 2 * spreads, color=_PALE, label=_CHANCE)
    panel.hlines(means, places - 0.4, places + 0.4, color=GREY, linewidth=1.2)
    for which, face, label in ((beyond, BLUE, _BEYOND), (~beyond, "white", _WITHIN)):
        panel.plot(places[which], values[which], "o", color=BLUE, markerfacecolor=face, markersize=4.5, label=label)
    panel.axhline(0, color="black", linewidth=0.6, zorder=0)
    set_heading(panel, TITLES[field])
    shown = np.concatenate([values, means - 2 * spreads, means + 2 * spreads, [0.0]])
    shown = shown[~np.isnan(shown)]
    if shown.any():
        scale_about_zero(panel, shown)
    elif np.isnan(values).all():
        panel.set_yticks([])
        say(panel, "undefined in every layer")


def scale_about_zero(panel: "Axes", shown: np.ndarray) -> None:
    """Set an asinh axis for the values `shown`, its linear part as wide as their median."""
    width = float(np.median(np.abs(shown[shown != 0])))
    panel.set_yscale("asinh", linear_width=width)
    low, high = np.arcsinh([shown.min() / width, shown.max() / width])
    margin = 0.07 * (high - low)
    low, high = low - margin, high + margin
    panel.set_ylim(*(width * np.sinh([low, high])))
    # Zero and 1, 5, 2 · 10ᵏ: the roundest first, as long as they stand apart.
    powers = 10.0 ** np.arange(12, -13, -1)
    ticks: list[float] = []
    for tick in (0.0, *(sign * digit * power for digit in (1, 5, 2) for power in powers for sign in (1, -1))):
        place = np.arcsinh(tick / width)
        if low <= place <= high and all(abs(place - np.arcsinh(t / width)) > (high - low) / 12 for t in ticks):
            ticks.append(tick)
    panel.set_yticks(ticks)
    panel.set_yticks([], minor=True)
    panel.yaxis.set_major_formatter("{x:g}")
    panel.tick_params(axis="y", labelsize=8)


def _sparsities(panel: "Axes", coordinate: Coordinate) -> None:
    sparsities = [layer.sparsity for layer in coordinate.layers.values()]
    panel.bar(range(len(sparsities)), sparsities, color=GREY, width=0.8)
    panel.set_ylim(0, 1)
    panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=8)
    panel.set_title("layer sparsity", fontsize=10, loc="left")
    panel.grid(alpha=0.25, axis="y")
    panel.set_axisbelow(True)
