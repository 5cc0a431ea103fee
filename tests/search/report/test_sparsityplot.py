"""The picture of layer sparsities: masks beside ERK, on an axis on which 0.99 and 0.999 can be told apart."""

import pytest
from fullspectrum.search.report.sparsityplot import plot_sparsities

NAMES = ("conv1.weight", "layer1.0.conv.weight", "fc.weight")
ERK = dict(zip(NAMES, (0.5, 0.99, 0.9), strict=True))


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws masks with these layer sparsities; returns the panel."""

    def draw(erk=ERK, **masks):
        given = {label: dict(zip(NAMES, each, strict=True)) for label, each in masks.items()}
        plot_sparsities(given, erk, "a title", tmp_path / "sparsities.png")
        return figures[-1].axes[0]

    return draw


def test_a_mask_is_a_line_over_the_bars_of_erk(drawn):
    panel = drawn(one=(0.0, 0.999, 0.9), two=(0.5, 0.9, 0.5))
    assert [bar.get_height() for bar in panel.patches] == pytest.approx([0.5, 0.01, 0.1])
    assert panel.lines[0].get_ydata().tolist() == pytest.approx([1.0, 0.001, 0.1])
    assert [label.get_text() for label in panel.get_xticklabels()] == ["conv1", "layer1.0.conv", "fc"]
    assert panel.get_yscale() == "log"
    # The axis names sparsities, and no densities.
    places = dict(zip((label.get_text() for label in panel.get_yticklabels()), panel.get_yticks(), strict=True))
    assert places["0.99"] == pytest.approx(0.01) and places["0"] == 1
    styles = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in panel.lines}
    assert len(styles) == 2


def test_an_empty_layer_is_drawn_below_all_others(drawn):
    panel = drawn(one=(0.5, 1.0, 0.9))
    heights = panel.lines[0].get_ydata()
    assert 0 < heights[1] < 0.01 and panel.get_ylim()[0] < heights[1]


def test_where_the_layers_are_not_known_the_mask_stands_alone(drawn):
    panel = drawn(erk={}, one=(0.5, 0.99, 0.9))
    assert not panel.patches and len(panel.get_xticklabels()) == 3
