"""Colours and shapes: each source has its own, in every picture."""

from fullspectrum.search.protocol.label import BASELINES
from fullspectrum.search.report.style import GREY, baseline_shape, styles
from fullspectrum.search.sources.registry import SOURCES


def test_every_source_of_the_registry_has_a_shape_of_its_own():
    found = styles(SOURCES)
    assert list(found) == list(SOURCES)
    assert len({style.shape for style in found.values()}) == len(SOURCES)


def test_a_source_looks_the_same_whatever_stands_beside_it():
    alone, beside = styles(["imp"]), styles(["snip", "imp", "module:Own", "random"])
    assert alone["imp"] == beside["imp"]
    assert list(beside) == ["random", "snip", "imp", "module:Own"]


def test_thirty_sources_look_different_in_colour_or_shape():
    others = [f"module:Source{number}" for number in range(30 - len(SOURCES))]
    assert len({*styles([*SOURCES, *others]).values()}) == 30


def test_baselines_have_shapes_of_their_own_in_a_colour_of_no_source():
    assert len({baseline_shape(label) for label in BASELINES}) == len(BASELINES)
    assert GREY not in {style.colour for style in styles(SOURCES).values()}
