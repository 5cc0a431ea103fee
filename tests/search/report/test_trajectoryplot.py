"""The picture of a coordinate over time: what is drawn, and that it can be read."""

from math import isnan

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.report.trajectoryplot import plot_trajectory
from fullspectrum.spectral.coordinate import FIELDS

NAMES = ("l2", "defined_layers", *FIELDS, "accuracy", "sparsity")
VALUES = {
    0: {"l2": 200.0, "defined_layers": 5, "ramanujan_gap": 1.0, "imdb": 3.0, "weighted_gap": 2.0, "sparsity": 0.0},
    20: {"l2": 4.0, "defined_layers": 1, "ramanujan_gap": -1.0, "weighted_gap": 1.0, "sparsity": 0.9},
    40: {"l2": 3.0, "defined_layers": 1, "ramanujan_gap": -2.0, "imdb": 1.0, "weighted_gap": 1.5, "sparsity": 0.95},
}
ACCURACIES = {16: 0.5, 40: 0.75}


@pytest.fixture
def panels(tmp_path, figures):
    """The panels of the picture by what they show."""
    plot_trajectory(VALUES, ACCURACIES, "a $title", tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    return dict(zip(NAMES, figures[-1].axes, strict=True))


def drawn(panel) -> tuple[list[int], list[float]]:
    (line,) = panel.lines
    return list(line.get_xdata()), list(line.get_ydata())


def test_each_panel_shows_one_value_over_the_iterations(panels):
    for name in ("l2", "defined_layers", "ramanujan_gap", "weighted_gap", "sparsity"):
        assert drawn(panels[name]) == ([0, 20, 40], [VALUES[at][name] for at in (0, 20, 40)]), name
    assert drawn(panels["accuracy"]) == ([16, 40], [0.5, 0.75])


def test_a_line_is_broken_where_its_value_is_undefined_and_a_panel_without_any_says_so(panels):
    _, values = drawn(panels["imdb"])
    assert [values[0], values[2]] == [3.0, 1.0] and isnan(values[1])
    assert [text.get_text() for text in panels["imsg"].texts] == ["undefined in every layer"]
    assert not any(panel.texts for name, panel in panels.items() if name != "imsg")


def test_small_values_can_be_read_beside_those_of_the_dense_network(panels):
    assert panels["l2"].get_yscale() == "asinh" and panels["ramanujan_gap"].get_yscale() == "linear"
    panel = panels["l2"]
    places = panel.transAxes.inverted().transform(panel.transData.transform([(0, 3), (0, 4), (0, 200)]))[:, 1]
    # On a linear axis the first two would share half a hundredth of the height.
    assert 0 < places[0] < places[1] < places[2] < 1 and places[1] - places[0] > 0.03


def test_numbers_of_layers_are_whole_and_sparsity_is_shown_from_0_to_1(panels):
    panels["l2"].figure.canvas.draw()
    assert all(tick == int(tick) for tick in panels["defined_layers"].get_yticks())
    low, high = panels["sparsity"].get_ylim()
    assert low < 0 and high > 1


def test_a_title_is_no_formula(panels):
    assert not panels["l2"].figure._suptitle.get_parse_math()


def test_a_name_that_is_no_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected the name of a picture"):
        plot_trajectory(VALUES, ACCURACIES, "title", tmp_path / "picture.txt")
