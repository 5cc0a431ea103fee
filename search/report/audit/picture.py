"""The picture of an audit: every score's rank correlation with accuracy, raw and given layer sparsities."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..picture import save_picture, set_title
from ..style import BLUE, GREEN, GREY, VERMILION
from .association import Association
from .audit import Audit
from .interval import Estimate
from .table import CONTROLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A colour and a shape for each kind of correlation, so that they are told apart without colours too.
_STYLES = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (GREY, "D"))

#: Most scores that are drawn.
_MOST = 30


def plot_audit(audit: Audit, title: str, path: Path) -> None:
    """Draw the scores of `audit` to `path`, the strongest on top; the suffix says the format (png, pdf, svg).

    Grey is where a correlation cannot be told from 0 with so many trainings.
    """
    from matplotlib.figure import Figure

    shown = {name: found for name, found in audit.associations.items() if not math.isnan(found.raw.value)}
    shown = dict(list(shown.items())[:_MOST])
    figure = Figure(figsize=(8.6, 1.7 + 0.42 * max(len(shown), 2)), layout="constrained")
    axes = figure.subplots()
    told = audit.power.told
    axes.axvspan(-told, told, color="#EEEEEE", zorder=0, label=f"not told from 0 ({audit.trainings:,} trainings)")
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    _series(axes, audit, list(shown.values()))
    axes.set_yticks(range(len(shown)), list(shown), fontsize=9, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(-1.02, 1.02)
    axes.set_xlabel("Spearman's rank correlation with accuracy, and its 95 % bootstrap interval", fontsize=9)
    axes.set_title(audit.table.described, fontsize=9, loc="left", parse_math=False)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(alpha=0.25, axis="x")
    axes.set_axisbelow(True)
    set_title(figure, title)
    figure.legend(fontsize=8, frameon=False, loc="outside lower left", ncols=5)
    save_picture(figure, path)


def _series(axes: "Axes", audit: Audit, found: Sequence[Association]) -> None:
    """Draw the kinds of correlation that there are, a little apart in each row."""
    kinds: list[tuple[str, list[Estimate | None]]] = [("raw", [each.raw for each in found])]
    for control in CONTROLS:
        kinds.append((f"given {control.replace('_', ' ')}", [each.given.get(control) for each in found]))
    kinds.append(("within sources", [each.within for each in found]))
    drawn = [(label, series) for label, series in kinds if any(map(_defined, series))]
    offsets = (np.arange(len(drawn)) - (len(drawn) - 1) / 2) * 0.19
    for offset, (label, series) in zip(offsets, drawn, strict=True):
        colour, shape = _STYLES[[kind for kind, _ in kinds].index(label)]
        rows = [(row, one) for row, one in enumerate(series) if one and _defined(one)]
        heights = np.array([row + offset for row, _ in rows])
        values, low, high = np.array([(one.value, one.low, one.high) for _, one in rows]).T
        axes.hlines(heights, low, high, color=colour, linewidth=1.3, zorder=2)
        face = colour if label == "raw" else "white"
        axes.plot(values, heights, shape, color=colour, markerfacecolor=face, markersize=5, label=label, zorder=3)


def _defined(estimate: Estimate | None) -> bool:
    return estimate is not None and not math.isnan(estimate.value)
