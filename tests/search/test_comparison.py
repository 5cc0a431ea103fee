"""Two accuracies side by side."""

import math

import numpy as np
import pytest
from fullspectrum.search.comparison import compare
from scipy.stats import ttest_ind


@pytest.mark.parametrize(
    ("ours", "theirs", "images", "verb"),
    # The 95 % error of 0.9 against 0.8 is 1.96 * sqrt((0.09 + 0.16) / n): 0.098 of 100 images, 0.310 of 10.
    [
        (0.9, 0.8, 100, "beats"),
        (0.9, 0.8, 10, "is level with"),
        (0.8, 0.9, 100, "loses to"),
        (1, 1, 5, "is level with"),
    ],
)
def test_one_training_each_is_compared_with_the_error_of_two_proportions(ours, theirs, images, verb):
    found = compare([ours], [theirs], images)
    assert found.verb == verb
    assert found.difference == pytest.approx(ours - theirs)
    expected = 1.96 * math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / images)
    assert found.error == pytest.approx(expected, abs=1e-5)


def test_the_spread_of_several_trainings_is_that_of_a_t_test_where_the_test_split_is_endless():
    ours, theirs = [0.91, 0.93, 0.9], [0.88, 0.9, 0.86]
    interval = ttest_ind(ours, theirs).confidence_interval(0.95)
    found = compare(ours, theirs, 10**15)
    assert found.difference + found.error == pytest.approx(interval.high, abs=1e-6)
    assert found.difference - found.error == pytest.approx(interval.low, abs=1e-6)


def test_more_trainings_do_not_make_a_small_test_split_larger():
    few, many = compare([0.9] * 2, [0.8] * 2, 100), compare([0.9] * 50, [0.8] * 50, 100)
    assert few.error == pytest.approx(many.error) == pytest.approx(compare([0.9], [0.8], 100).error)


def test_equals_are_told_apart_no_more_often_than_the_interval_allows():
    # 2,000 comparisons of two sets of three trainings with the same accuracy: at most 5 % differ, five standard
    # deviations of that count (sqrt(2000 * 0.05 * 0.95) = 9.7) allowed. The two parts of the error make it fewer.
    generator = np.random.default_rng(0)
    runs = generator.binomial(1000, np.clip(generator.normal(0.9, 0.01, (2000, 2, 3)), 0, 1)) / 1000
    told = sum(compare(ours, theirs, 1000).verb != "is level with" for ours, theirs in runs)
    assert told <= 100 + 5 * 9.7
