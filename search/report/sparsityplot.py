"""The picture of how sparsity is shared among layers: the best masks beside ERK."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .layerplot import name_layers
from .picture import save_picture, set_heading, set_legend, set_title
from .style import BLUE, GREEN, GREY, PALE, PURPLE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

#: A colour, a shape and a line for each mask that is drawn.
_STYLES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"))

#: Most masks that are drawn.
MOST = len(_STYLES)

#: Sparsities that are marked on the axis.
_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999)

#: The share that is drawn for an empty layer, whose logarithm would be infinite, beside the least of the others.
_EMPTY = 0.5


def plot_sparsities(masks: Mapping[str, Mapping[str, float]], erk: Mapping[str, float], title: str, path: Path) -> None:
    """Draw the sparsity of every layer of up to `MOST` masks to `path`, over that which ERK would give the layer.

    `masks` and `erk` map parameter names to sparsities in [0, 1]. The axis is logarithmic in what is kept, so that 0.99
    and 0.999 are as far apart as 0.9 and 0.99.
    """
    from matplotlib.figure import Figure

    names = list(erk) or list(next(iter(masks.values())))
    shown = {label: each for label, each in list(masks.items())[:MOST]}
    kept = {label: 1 - np.array([each.get(name, np.nan) for name in names]) for label, each in shown.items()}
    kept_by_erk = 1 - np.array([erk[name] for name in names]) if erk else np.array([])
    least = _least(*kept.values(), kept_by_erk)
    figure = Figure(figsize=(min(6.5 + 0.16 * len(names), 16), 4.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    if erk:
        look: dict[str, Any] = {"color": PALE, "edgecolor": GREY, "hatch": "//", "linewidth": 0}
        axes.bar(places, np.maximum(kept_by_erk, least), 0.9, label="ERK (random)", **look)
    for (label, values), (colour, shape, line) in zip(kept.items(), _STYLES, strict=False):
        drawn = np.maximum(values, least)
        axes.plot(places, drawn, line, marker=shape, color=colour, markersize=5, linewidth=1, label=label)
    _scale(axes, least)
    set_heading(axes, "Layer sparsities of the best masks (high: little is removed)")
    set_legend(axes)
    name_layers(axes, names)
    set_title(figure, title)
    save_picture(figure, path)


def _least(*kept: np.ndarray) -> float:
    """Return the height at which an empty layer is drawn."""
    shares = np.concatenate(kept)
    shares = shares[~np.isnan(shares) & (shares > 0)]
    return float(shares.min() * _EMPTY) if shares.size else 1e-6


def _scale(axes: "Axes", least: float) -> None:
    axes.set_yscale("log")
    axes.set_ylim(least * 0.8, 1.3)
    label_sparsities(axes.yaxis, [tick for tick in _TICKS if 1 - tick >= least])
    axes.set_ylabel("sparsity of the layer", fontsize=9)


def label_sparsities(axis: "Axis", sparsities: Sequence[float]) -> None:
    """Mark sparsities on an axis that is logarithmic in what is kept."""
    ticks = sorted({*sparsities})
    axis.set_ticks([1 - tick for tick in ticks], [f"{tick:g}" for tick in ticks], fontsize=8)
    axis.set_ticks([], minor=True)
