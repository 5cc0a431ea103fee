"""What is said of a study in which nothing was learned."""

import pytest
from fullspectrum.search.report.comparison import interval, is_chance, most_by_chance
from fullspectrum.search.report.leaderboard import leaderboard
from fullspectrum.search.report.verdicts import against_baselines
from scipy.stats import binom, binomtest

from ..records import FakeLedger, final, trial


def said(ours: float, random: float, images: int = 500, **others: float) -> list[str]:
    finals = [final("trial 0", 0.5, ours), final("erk-random", 0.5, random)]
    finals += [final(name, 0.5, each) for name, each in others.items()]
    return against_baselines(leaderboard(FakeLedger([trial(0, 1.0, 100, 0.1)], finals)), images, 10)


def test_a_mask_at_chance_level_is_level_with_nothing():
    (sentence,) = said(0.102, 0.1)
    assert sentence.startswith(
        "Nothing was learned: trial 0, the best mask, is at chance level on the test split, 0.1020"
    )
    assert "guessing one of 10 classes gives 0.1000" in sentence
    assert "level with" not in sentence
    for way in ("warmup.iterations", "final.epochs", "lower sparsity", "training.learning_rate"):
        assert way in sentence


def test_what_the_dense_network_reached_says_where_to_look():
    assert "The dense network reaches 0.9500 by the same recipe." in said(0.1, 0.1, dense=0.95)[0]
    assert "The dense network does not learn by this recipe either." in said(0.1, 0.1, dense=0.11)[0]


def test_a_mask_above_chance_is_compared_however_bad_it_is():
    (sentence,) = said(0.2, 0.1)
    assert sentence.startswith("The best mask beats an ERK-random one")


@pytest.mark.parametrize("images", [50, 500, 10_000])
def test_networks_that_guess_are_hardly_ever_taken_to_have_learned(images):
    # Exactly, over all counts: at most 2.5 % of those that guess one of 10 classes; of 500 images or more those that
    # are right five standard deviations more often never are taken for guesses.
    chance = binom.pmf(range(images + 1), images, 0.1)
    assert sum(chance[right] for right in range(images + 1) if not is_chance(right / images, images, 10)) <= 0.035
    better = 0.1 + 6 * (0.09 / images) ** 0.5
    assert not is_chance(better, images, 10)


def test_the_best_of_many_that_guess_stays_below_the_bound():
    # 1,000 sets of the best of 50 networks that guess on 359 images: at most 2.5 % above it, five standard deviations
    # of that count (4.9) allowed.
    best = binom.rvs(359, 0.1, size=(1000, 50), random_state=0).max(axis=1) / 359
    assert (best > most_by_chance(359, 10, 50)).sum() <= 25 + 5 * 4.9
    assert (best > most_by_chance(359, 10, 1)).sum() > 250


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (90, 100), (355, 359)])
def test_the_interval_of_one_training_is_wilsons(right, images):
    expected = binomtest(right, images).proportion_ci(method="wilson")
    assert interval([right / images], images) == pytest.approx((expected.low, expected.high))


def test_the_interval_of_several_trainings_holds_their_spread_too():
    # Of endless images t(0.975, 2) * s / sqrt(3) of 0.8, 0.85, 0.9 is left: 4.302653 * 0.05 / 1.732051.
    low, high = interval([0.8, 0.85, 0.9], 10**12)
    assert (low, high) == pytest.approx((0.85 - 0.124207, 0.85 + 0.124207), abs=1e-5)
    one, several = interval([0.85], 100), interval([0.8, 0.85, 0.9], 100)
    assert several[0] < one[0] and several[1] > one[1]
