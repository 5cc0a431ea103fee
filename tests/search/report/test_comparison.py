"""Two accuracies side by side."""

import math

import numpy as np
import pytest
from fullspectrum.search.report.comparison import compare, compare_pairs, mean
from scipy.stats import binom, ttest_ind


@pytest.mark.parametrize(
    ("ours", "theirs", "images", "verb"),
    # Of 98 images 90 % and 80 % are 89.2 and 79.4 of 100 with one right and one wrong added: the 95 % error is
    # 1.96 * sqrt((0.892 * 0.108 + 0.794 * 0.206) / 100) * 100 / 98 = 0.102; of 998 it is 0.031.
    [
        (0.9, 0.8, 998, "beats"),
        (0.9, 0.8, 98, "is level with"),
        (0.8, 0.9, 998, "loses to"),
        (1, 1, 5, "is level with"),
        (1, 0, 1, "is level with"),
        # Four mistakes against none are p = 0.12 by Fisher's exact test, six are p = 0.03.
        (1, 0.9996, 10_000, "is level with"),
        (1, 0.9994, 10_000, "beats"),
    ],
)
def test_one_training_each_is_compared_with_the_error_of_two_proportions(ours, theirs, images, verb):
    found = compare([ours], [theirs], images)
    assert found.verb == verb
    assert found.difference == pytest.approx(ours - theirs)
    total = images + 2
    shares = [(ours * images + 1) / total, (theirs * images + 1) / total]
    expected = 1.959964 * math.sqrt(sum(share * (1 - share) for share in shares) * total) / images
    assert found.error == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("accuracy", [0.5, 0.8, 0.95])
def test_equally_good_networks_are_told_apart_on_few_images_no_more_often_than_the_interval_allows(accuracy):
    # Summed over all pairs of counts out of 20, hence exact; without the four added images it is 8.1 % for 0.5.
    chance = binom.pmf(np.arange(21), 20, accuracy)
    told = sum(
        chance[one] * chance[other]
        for one in range(21)
        for other in range(21)
        if compare([one / 20], [other / 20], 20).verb != "is level with"
    )
    assert 0 < told <= 0.05


@pytest.mark.parametrize("theirs", [[0.88, 0.9, 0.86], [0.9, 0.5, 0.7], [0.88, 0.86]])
def test_the_spread_of_several_trainings_is_that_of_welchs_t_test_where_the_test_split_is_endless(theirs):
    ours = [0.91, 0.93, 0.9]
    interval = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    found = compare(ours, theirs, 10**15)
    assert found.difference + found.error == pytest.approx(interval.high, abs=1e-6)
    assert found.difference - found.error == pytest.approx(interval.low, abs=1e-6)


def test_a_single_training_is_taken_to_be_as_uncertain_as_the_others_are():
    # One more value without a spread of its own: the interval of a prediction, t(0.975, 2) * s * sqrt(1 + 1 / 3).
    expected = 4.302653 * np.std([0.9, 0.8, 0.7], ddof=1) * math.sqrt(4 / 3)
    assert compare([0.9, 0.8, 0.7], [0.5], 10**15).error == pytest.approx(expected, abs=1e-6)
    assert compare([0.5], [0.9, 0.8, 0.7], 10**15).error == pytest.approx(expected, abs=1e-6)


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


def test_trainings_in_pairs_are_compared_by_the_spread_of_their_differences():
    found = compare_pairs([(0.80, 0.70), (0.84, 0.72), (0.88, 0.80)], 10_000)
    assert (found.ours, found.theirs) == (pytest.approx(0.84), pytest.approx(0.74))
    # Differences 0.10, 0.12, 0.08 deviate by 0.02; t of two degrees of freedom is 4.302653. Two proportions of 10,000
    # images add an error of their own.
    assert found.error == pytest.approx(math.hypot(4.302653 * 0.02 / 3**0.5, compare([0.84], [0.74], 10_000).error))
    assert found.error < compare([0.80, 0.84, 0.88], [0.70, 0.72, 0.80], 10_000).error
    single = compare_pairs([(0.8, 0.7)], 100)
    assert single == compare([0.8], [0.7], 100)


def test_the_interval_of_a_mean_is_students():
    found = mean([0.80, 0.84, 0.88])
    assert (found.value, found.count) == (pytest.approx(0.84), 3)
    assert found.error == pytest.approx(4.302653 * 0.04 / 3**0.5, rel=1e-6)
    assert mean([0.5]).error == 0
