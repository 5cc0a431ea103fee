"""The picture of full trainings: the winner first, every one with its interval, on an axis that does not exaggerate."""

import matplotlib.image
import pytest
from fullspectrum.search.report.accuracyplot import plot_accuracies
from fullspectrum.search.report.leaderboard import leaderboard

from ..records import FakeLedger, final, trial


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws full trainings of trials 0, 1, … with these test accuracies, and baselines; returns the panel."""

    def draw(*accuracies, images=1000, classes=10, **baselines):
        trials = [trial(number, 1.0, 100, 0.5) for number in range(len(accuracies))]
        finals = [final(f"trial {number}", 0.9 - number / 1000, each) for number, each in enumerate(accuracies)]
        finals += [final(name.replace("_", "-"), 0.5, each) for name, each in baselines.items()]
        path = tmp_path / "accuracies.png"
        plot_accuracies(leaderboard(FakeLedger(trials, finals)), images, classes, "a title", path)
        assert matplotlib.image.imread(path).std() > 0
        return figures[-1].axes[0]

    return draw


def names(panel) -> list[str]:
    return [label.get_text() for label in panel.get_yticklabels()]


def intervals(panel) -> list[tuple[float, float]]:
    return [tuple(lines.get_segments()[0][:, 0].tolist()) for lines in panel.collections if len(lines.get_segments())]


def test_the_winner_comes_first_and_the_baselines_last(drawn):
    panel = drawn(0.8, 0.85, dense=0.95, erk_random=0.75)
    assert names(panel) == ["the best: trial 0 (snip)", "trial 1 (snip)", "dense", "erk-random"]
    places = [
        tuple(map(float, (*line.get_xdata(), *line.get_ydata()))) for line in panel.lines if line.get_marker() != "None"
    ]
    assert places == [(0.8, 0), (0.85, 1), (0.95, 2), (0.75, 3)]
    # The first line is on top.
    assert panel.get_ylim()[0] > panel.get_ylim()[1]
    assert [text.get_text() for text in panel.texts[:4]] == ["0.8000", "0.8500", "0.9500", "0.7500"]


def test_every_training_has_wilsons_interval_and_that_of_the_winner_is_a_band(drawn):
    panel = drawn(0.9, erk_random=0.5, images=100)
    # 90 and 50 of 100 by Wilson (JASA 22, 1927).
    assert intervals(panel) == [pytest.approx((0.8256, 0.9448), abs=1e-4), pytest.approx((0.4038, 0.5962), abs=1e-4)]
    (band,) = panel.patches
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((0.8256, 0.9448), abs=1e-4)


def test_where_the_images_are_not_counted_there_is_no_interval(drawn):
    panel = drawn(0.9, images=None)
    assert intervals(panel) == [(0.9, 0.9)]
    assert "interval" not in panel.get_xlabel()


@pytest.mark.parametrize("accuracies", [(0.9881, 0.9883), (1.0, 0.9999), (0.0, 0.0001)])
def test_small_differences_do_not_fill_the_axis(drawn, accuracies):
    panel = drawn(*accuracies, images=10**6)
    low, high = panel.get_xlim()
    assert high - low >= 0.1
    assert low < min(accuracies) and max(accuracies) < high
    assert low >= -0.01 and high <= 1.01


def test_sixty_masks_share_a_line_beyond_the_first_twenty(drawn):
    panel = drawn(*(0.8 + number / 1000 for number in range(60)), erk_random=0.7)
    assert len(names(panel)) == 22
    assert names(panel)[20] == "40 more masks: median, least to best"
    assert intervals(panel)[20] == pytest.approx((0.82, 0.859))
