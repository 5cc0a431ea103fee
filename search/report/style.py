"""How pictures tell sources and baselines apart: a colour and a shape for each, so that either is enough."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..protocol.label import DENSE, ERK_RANDOM, ERK_RANDOM_EQUAL_COST, INVERTED, REINITIALISED, SHUFFLED, Label
from ..sources.registry import SOURCES

#: Okabe-Ito colours, distinct in every common colour blindness, in an order in which neighbours differ in lightness.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"

#: What is no mask of a source: baselines, and all that only accompanies.
GREY, PALE = "#6E6E6E", "#E6E6E6"

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE)

#: The shapes of sources: one for each of the registry, so that print without colours tells them apart.
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

#: The shape of each baseline; they are drawn hollow, sources filled.
_BASELINES = {DENSE: "s", ERK_RANDOM: "D", ERK_RANDOM_EQUAL_COST: "P", SHUFFLED: "^", REINITIALISED: "v", INVERTED: "X"}


@dataclass(frozen=True)
class Style:
    """The colour and the shape of points, as matplotlib names them."""

    colour: str
    shape: str


def baseline_shape(label: Label) -> str:
    """Return the shape of a baseline; baselines are all grey."""
    return _BASELINES.get(label, "o")


def styles(sources: Iterable[str]) -> dict[str, Style]:
    """Return a style for each of `sources`, in the order of the registry, and then of names.

    Those of the registry look alike in every picture of every study; others take what comes after them.
    """
    known = list(SOURCES)
    named = {*sources}
    others = sorted(named - {*known})
    places = {name: place for place, name in enumerate([*known, *others]) if name in named}
    return {name: _style(place) for name, place in places.items()}


def _style(place: int) -> Style:
    """Return the style of a place; the first 33 differ, and those a few places apart differ in colour and shape."""
    colours, shapes = len(_COLOURS), len(_SHAPES)
    return Style(_COLOURS[(place + place // colours + place // shapes) % colours], _SHAPES[place % shapes])
