"""The picture of a mask beside chance: what is drawn, that it can be read, and where it is written."""

from math import nan
from types import SimpleNamespace

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.report.layerplot import plot_coordinate
from fullspectrum.spectral.chance import ZScore
from fullspectrum.spectral.coordinate import FIELDS


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws layers with these z-scores in every component; returns the panels, the last of them the sparsities."""

    def draw(*z_scores: ZScore, names: tuple[str, ...] = (), to: str = "mask.png", title: str = "a title") -> list:
        names = names or tuple(f"layer{number}.weight" for number in range(len(z_scores)))
        coordinate = SimpleNamespace(layers={name: SimpleNamespace(sparsity=0.5) for name in names})
        chance = {name: dict.fromkeys(FIELDS, one) for name, one in zip(names, z_scores, strict=True)}
        plot_coordinate(coordinate, chance, title, tmp_path / to)
        return figures[-1].axes

    return draw


def dots(panel) -> dict[str, list[tuple[float, float]]]:
    """The points that stand for the mask, by the colour they are filled with."""
    lines = [line for line in panel.lines if line.get_marker() == "o"]
    return {line.get_markerfacecolor(): list(zip(*line.get_data(), strict=True)) for line in lines}


def heights(panel, values: list[float]) -> np.ndarray:
    """Where values lie in a panel, 0 at its bottom and 1 at its top."""
    display = panel.transData.transform([(0, value) for value in values])
    return panel.transAxes.inverted().transform(display)[:, 1]


def test_a_mask_is_filled_only_beyond_two_standard_deviations(drawn):
    z_scores = [ZScore(value, 1.0, 0.1) for value in (1.3, 1.1, 0.7)] + [ZScore(2.0, 2.0, 0.0)]
    *components, _ = drawn(*z_scores, ZScore(-1.0, nan, nan))
    assert len(components) == len(FIELDS)
    for panel in components:
        assert dots(panel) == {"#0072B2": [(0, 1.3), (2, 0.7)], "white": [(1, 1.1), (3, 2.0), (4, -1.0)]}


def test_chance_is_a_box_of_two_standard_deviations_to_both_sides_of_a_line(drawn):
    panel, *_ = drawn(ZScore(1.0, 2.0, 0.25), ZScore(nan, nan, nan), ZScore(1.0, -1.0, 0.5))
    boxes = [(box.get_y(), box.get_y() + box.get_height()) for box in panel.patches]
    assert [boxes[0], boxes[2]] == [(1.5, 2.5), (-2.0, 0.0)]
    (lines,) = panel.collections
    assert [path.vertices[:, 1].tolist() for path in lines.get_paths()][::2] == [[2.0, 2.0], [-1.0, -1.0]]


def test_small_layers_can_be_read_beside_an_unpruned_one(drawn):
    small = [-0.1, 0.1, 0.2, 0.4, 0.8]
    panel, *_ = drawn(*(ZScore(value, value, 0.01) for value in (*small, 90.0)))
    places = heights(panel, [*small, 90.0])
    # On a linear axis, all but the last would share a hundredth of the height.
    assert np.diff(places).min() > 0.03
    assert places.min() > 0.02
    assert places.max() < 0.98


@pytest.mark.parametrize("values", [[3e-5, 4e-5], [-0.2, 0.01, 20.0], [7.0], [-900.0, -3.0], [1e6, 2e6], [0.0, 0.3]])
def test_ticks_are_round_stand_apart_and_have_zero_among_them(drawn, values):
    panel, *_ = drawn(*(ZScore(value, value, 0.0) for value in values))
    ticks = panel.get_yticks()
    assert 2 <= len(ticks) <= 13
    assert 0 in ticks
    assert np.diff(heights(panel, sorted(ticks))).min(initial=1) > 0.08
    digits = [f"{abs(tick):e}"[:8] for tick in ticks]
    assert set(digits) <= {"0.000000", "1.000000", "2.000000", "5.000000"}


def test_a_component_that_no_layer_defines_says_so(drawn):
    panel, *_ = drawn(ZScore(nan, nan, nan), ZScore(nan, nan, nan))
    assert [text.get_text() for text in panel.texts] == ["undefined in every layer"]


def test_a_component_that_is_zero_in_every_layer_is_drawn(drawn):
    panel, *_ = drawn(ZScore(0.0, 0.0, 0.0))
    assert dots(panel)["white"] == [(0, 0.0)]
    assert not panel.texts


def test_layers_are_named_by_the_ends_of_their_names_unless_they_are_too_many(drawn):
    one = ZScore(1.0, 1.0, 0.1)
    long = "encoder.layers.encoder_layer_10.self_attention.in_proj_weight"
    *_, last = drawn(one, one, names=("fc.weight", long))
    labels = [label.get_text() for label in last.get_xticklabels()]
    assert labels[0] == "fc"
    assert labels[1].startswith("…") and long.endswith(labels[1][1:]) and len(labels[1]) == 40
    *_, last = drawn(*[one] * 200)
    assert len(last.get_xticks()) < 20


@pytest.mark.parametrize(
    ("name", "signature"), [("mask.png", b"\x89PNG\r\n\x1a\n"), ("mask.PDF", b"%PDF"), ("mask.svg", b"<?xml")]
)
def test_the_suffix_says_the_format(drawn, tmp_path, name, signature):
    drawn(ZScore(1.0, 1.0, 0.1), to=name)
    assert (tmp_path / name).read_bytes().startswith(signature)


@pytest.mark.parametrize("name", ["mask.jpg", "mask", "nowhere/mask.png"])
def test_other_formats_and_missing_folders_are_refused(drawn, tmp_path, name):
    with pytest.raises(InputError, match=name):
        drawn(ZScore(1.0, 1.0, 0.1), to=name)
    assert not list(tmp_path.iterdir())


def test_a_dollar_begins_no_formula(drawn):
    # As a formula it would be an error.
    *_, last = drawn(ZScore(1.0, 1.0, 0.1), names=("$\\frac$.weight",), title=r"$\frac$")
    assert [label.get_text() for label in last.get_xticklabels()] == [r"$\frac$"]
