"""The picture of several studies: each winner beside its random mask, and accuracy against cost and sparsity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..protocol.label import ERK_RANDOM_EQUAL_COST
from .accuracyplot import limit_accuracies
from .leaderboard import Row
from .overview import Overview, differing, interval_of
from .picture import check_picture, save_picture, set_heading, set_legend, set_title
from .sparsityplot import label_sparsities
from .style import GREY, Style, baseline_shape, styles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: How far a winner and its random mask stand apart in their line.
_APART = 0.16

_RANDOM = Style(GREY, baseline_shape(ERK_RANDOM_EQUAL_COST))
_RANDOM_LABEL = "random at equal cost"


def plot_overviews(overviews: Sequence[Overview], title: str, path: Path) -> None:
    """Draw studies to `path`; the suffix says the format (png, pdf, svg).

    Above, a line for each study with its winner and its random mask, with their 95 % intervals. Below, the same
    accuracies against cost, and against sparsity where that differs; the numbers are those of the lines. At least one
    winner was trained in full. Raises InputError as `check_picture` does.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    settings = differing([each.study for each in overviews])
    names = [each.named(own) for each, own in zip(overviews, settings, strict=True)]
    looks = styles(each.winner.source for each in overviews if each.winner)
    sparsities = len({each.study.sparsity for each in overviews}) > 1
    upper = 0.9 + 0.42 * len(overviews)
    figure = Figure(figsize=(9.6, upper + 3.6), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[upper, 3.4])[:, 0]
    _lines(above.subplots(), overviews, names, looks)
    panels = below.subplots(1, 1 + sparsities, squeeze=False, sharey=True)[0]
    _against(panels[0], overviews, looks, {each.study.id: each.winner.cost for each in overviews if each.winner})
    panels[0].set_xlabel("optimizer steps in all, from the initial weights on", fontsize=9)
    panels[0].xaxis.set_major_formatter("{x:,.0f}")
    panels[0].set_ylabel("test accuracy", fontsize=9)
    set_heading(panels[0], "Against cost (numbers: the lines above)")
    if sparsities:
        kept = {each.study.id: 1 - each.study.global_sparsity for each in overviews}
        _against(panels[1], overviews, looks, kept)
        panels[1].set_xscale("log")
        panels[1].set_xlim(1.4 * max(kept.values()), min(kept.values()) / 1.4)
        label_sparsities(panels[1].xaxis, [1 - each for each in kept.values()])
        panels[1].set_xlabel("sparsity", fontsize=9)
        set_heading(panels[1], "Against sparsity")
    set_title(figure, title)
    save_picture(figure, path)


def _lines(axes: "Axes", overviews: Sequence[Overview], names: Sequence[str], looks: dict[str, Style]) -> None:
    ends: list[float] = []
    for height, each in enumerate(overviews):
        for row, offset in ((each.winner, -_APART), (each.random, _APART)):
            if row is None or row.accuracy_final is None:
                continue
            style = _RANDOM if row.is_baseline else looks[row.source]
            low, high = interval_of(row, each.images) or (row.accuracy_final, row.accuracy_final)
            axes.hlines(height + offset, low, high, color=style.colour, linewidth=1.4)
            _point(axes, row.accuracy_final, height + offset, row, style)
            ends += [low, high]
    for height, each in enumerate(overviews):
        if each.winner is None or each.winner.accuracy_final is None:
            axes.text(min(ends), height, "nothing trained in full yet", color=GREY, fontsize=8, va="center")
    axes.set_yticks(
        range(len(names)), [f"{n}  {name}" for n, name in enumerate(names, 1)], fontsize=8, parse_math=False
    )
    axes.set_ylim(len(names) - 0.4, -0.6)
    limit_accuracies(axes, min(ends), max(ends))
    axes.set_xlabel("test accuracy after full training, and its 95 % interval", fontsize=9)
    set_heading(axes, "The best mask of each study")
    set_legend(axes)


def _against(
    axes: "Axes", overviews: Sequence[Overview], looks: dict[str, Style], places: Mapping[str, float | None]
) -> None:
    """Draw test accuracies at the places of studies, by id, with the numbers of those that lie there."""
    there: dict[tuple[float, float], list[str]] = {}
    for number, each in enumerate(overviews, 1):
        place = places.get(each.study.id)
        for row in (each.random, each.winner):
            if row is not None and row.accuracy_final is not None and place is not None:
                _point(axes, place, row.accuracy_final, row, _RANDOM if row.is_baseline else looks[row.source])
                # Numbers of accuracies that hardly differ would be drawn over each other.
                there.setdefault((place, round(row.accuracy_final, 2)), []).append(str(number))
    for point, numbers in there.items():
        shown = ", ".join(dict.fromkeys(numbers))
        axes.annotate(shown, point, (7, -3), textcoords="offset points", fontsize=7)
    axes.margins(0.12)


def _point(axes: "Axes", x: float, y: float, row: Row, style: Style) -> None:
    face = "white" if row.is_baseline else style.colour
    label = _RANDOM_LABEL if row.is_baseline else f"the best, of {row.source}"
    axes.plot(x, y, style.shape, color=style.colour, markerfacecolor=face, markersize=7, label=label)
