"""The picture of what accuracy costs shows what the record holds, and the front of it."""

import matplotlib.image
import pytest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.report.costplot import pareto_front, plot_cost
from fullspectrum.search.report.leaderboard import leaderboard
from hypothesis import given
from hypothesis import strategies as st

from ..records import FakeLedger, final, trial

POINTS = st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))


@given(POINTS)
def test_the_front_is_all_that_nothing_betters(points):
    bettered = {
        (cost, accuracy)
        for cost, accuracy in points
        for other_cost, other in points
        if other_cost <= cost and other >= accuracy and (other_cost, other) != (cost, accuracy)
    }
    assert pareto_front(points) == sorted(set(points) - bettered)


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws a study; returns the figure's axes."""

    def draw(trials, finals):
        path = tmp_path / "report" / "cost.png"
        plot_cost(trials, leaderboard(FakeLedger(trials, finals)), "a title", path)
        assert matplotlib.image.imread(path).std() > 0
        return figures[-1].axes[0]

    return draw


TRIALS = [
    trial(0, 3.0, 100, 0.75, cost=640),
    trial(1, 2.0, 50, 0.5, Outcome.STOPPED_EARLY, cost=50),
    # The gate stopped it: it has a cost, and no accuracy.
    trial(2, 1.0, outcome=Outcome.STOPPED_BY_GATE, cost=540),
    # Its ledger is of an earlier version.
    trial(3, 1.0, 50, 0.25),
]
FINALS = [
    final("trial 0", 0.8, 0.9, 1220),
    final("dense", 0.9, 0.95, 680),
    final("erk-random", 0.7, 0.75, 680),
    final("erk-random-equal-cost", 0.7, 0.8, 1220),
]


def points(axes) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for line in axes.lines:
        found.setdefault(line.get_label(), []).extend(map(tuple, line.get_xydata().tolist()))
    return found


def test_every_training_is_a_point_and_dense_is_not_on_the_front(drawn):
    axes = drawn(TRIALS, FINALS)
    assert points(axes) == {
        "snip": [(50, 0.5), (640, 0.75)],
        "trial 0, the best (snip)": [(1220, 0.9)],
        "dense": [(680, 0.95)],
        "erk-random": [(680, 0.75)],
        "erk-random-equal-cost": [(1220, 0.8)],
        "Pareto front": [(680, 0.75), (1220, 0.9), (1220, 0.9)],
    }
    assert {text.get_text() for text in axes.get_legend().get_texts()} == points(axes).keys()
    warmups, front = axes.lines[0], axes.lines[-1]
    assert warmups.get_alpha() < 1 and front.get_drawstyle() == "steps-post"


def test_costs_that_lie_far_apart_are_on_a_logarithmic_axis(drawn):
    assert drawn(TRIALS, FINALS).get_xscale() == "log"
    assert drawn(TRIALS[:1], FINALS).get_xscale() == "linear"


@pytest.mark.parametrize("accuracies", [(1.0, 1.0), (0.0, 1.0), (0.0, 0.0)])
def test_accuracies_at_their_bounds_are_in_the_picture(drawn, accuracies):
    lower, upper = accuracies
    axes = drawn(TRIALS[2:3], [final("trial 2", 0.5, upper, 700), final("erk-random", 0.5, lower, 680)])
    low, high = axes.get_ylim()
    assert low < lower <= upper < high
    assert all(low <= tick <= high for tick in axes.get_yticks()) and len(axes.get_yticks())
