"""The fit of a ranking: what is planted is recovered, within groups, and the prior counts as so many masks."""

import numpy as np
import pytest
from fullspectrum.search.protocol.ranking import Ranking, Term
from fullspectrum.search.scores.fitting import PRIOR_MASKS, Examples, fit, leave_one_out
from scipy.stats import spearmanr

PRIOR = Ranking({"log_density": Term(0.6, 0.5)})


def examples(masks: int, seed: int, noise: float = 0.5, groups: int = 1, **slopes: float) -> Examples:
    """Masks whose merit is the sum of slopes times scores of variance 1, and noise; groups differ by far more."""
    generator = np.random.default_rng(seed)
    group = np.arange(masks) % groups
    scores = {name: generator.normal(size=masks) + 30 * group for name in (*slopes, "other")}
    merits = sum(slope * (scores[name] - 30 * group) for name, slope in slopes.items())
    return Examples(scores, merits + noise * generator.normal(size=masks) - 30 * group, group.astype(str))


def values(ranking: Ranking, given: Examples) -> np.ndarray:
    rows = zip(*given.scores.values(), strict=True)
    return np.array([ranking.value(dict(zip(given.scores, row, strict=True))) for row in rows])


@pytest.mark.parametrize("groups", [1, 5])
def test_a_planted_ranking_is_recovered_within_groups(groups):
    found = fit(examples(400, 0, groups=groups, l2=1.0, imdb=-0.5))
    weights = {name: term.weight for name, term in found.terms.items()}
    # The merit has a variance of 1 + 1/4 + 1/4, and the rank of a normal number correlates with it by √(3/π).
    for name, slope in (("l2", 1.0), ("imdb", -0.5), ("other", 0.0)):
        # Four standard errors of a slope among 400, √(1 − R²) / 20 with R² = 5/6, and the ridge: 16 of 400 masks.
        assert weights[name] == pytest.approx(slope / 1.5**0.5 * (3 / np.pi) ** 0.5, abs=4 * (1 / 6) ** 0.5 / 20 + 0.04)
    assert found.masks == 400


def test_held_out_masks_are_ranked_by_what_was_planted():
    found = fit(examples(60, 1, l2=1.0, imdb=-1.0))
    held_out = examples(200, 2, l2=1.0, imdb=-1.0)
    # √(2 / 2.25) = 0.94 is the most that the noise leaves.
    assert spearmanr(values(found, held_out), held_out.merits).statistic > 0.85


def test_the_weights_are_those_of_the_closed_form_for_one_score():
    given = examples(50, 3, l2=1.0)
    score = given.scores.pop("l2")
    only = Examples({"log_density": score}, given.merits, given.groups)
    slope = fit(only, prior_masks=0).terms["log_density"].weight
    x = (score - score.mean()) / np.sqrt(((score - score.mean()) ** 2).sum() / 49)
    y = ((np.argsort(np.argsort(given.merits)) + 0.5) / 50 - 0.5) * 12**0.5
    assert slope == pytest.approx(np.polyfit(x, y, 1)[0])
    # x has a sum of squares of 49: the prior counts as 16 of 65.
    with_prior = fit(only, PRIOR).terms["log_density"].weight
    assert with_prior == pytest.approx((49 * slope + PRIOR_MASKS * 0.6) / (49 + PRIOR_MASKS))


def test_two_masks_leave_the_prior_nearly_as_it_was_and_thousands_overrule_it():
    few, many = (examples(count, 4, noise=0.1, log_density=-1.0) for count in (2, 4000))
    assert fit(few, PRIOR).terms["log_density"].weight == pytest.approx(0.6, abs=0.2)
    assert fit(many, PRIOR).terms["log_density"].weight < -0.9


def test_only_the_order_of_merits_counts_and_units_of_scores_do_not():
    given = examples(30, 5, l2=1.0)
    other = Examples(
        {"l2": 1000 * given.scores["l2"] - 7, "other": given.scores["other"]}, given.merits**3, given.groups
    )
    assert values(fit(other, PRIOR), other) == pytest.approx(values(fit(given, PRIOR), given))


def test_a_score_that_does_not_vary_within_groups_has_no_term():
    given = examples(30, 6, groups=3, l2=1.0)
    given.scores["other"] = 0.3 + given.groups.astype(float)
    given.scores["nowhere"] = np.full(30, np.nan)
    assert fit(given).terms.keys() == {"l2"}
    # Where none varies, what was known before still ranks masks.
    alone = Examples({"l2": np.arange(3.0)}, np.arange(3.0), np.array(["a", "b", "c"]))
    assert fit(alone, PRIOR) == PRIOR


def test_an_undefined_score_counts_as_the_mean_and_hurts_nobody():
    given = examples(40, 7, l2=1.0)
    given.scores["other"][::2] = np.nan
    found = fit(given)
    assert np.isfinite(values(found, given)).all()
    assert np.isnan(found.value({"l2": np.nan}))
    assert found.value({"l2": np.nan, "other": found.terms["other"].centre}) == 0


def test_leaving_one_out_ranks_as_the_fit_to_the_others_does():
    given = examples(25, 8, l2=1.0, imdb=0.5)
    left_out = leave_one_out(given, PRIOR)
    whole = fit(given, PRIOR)
    for row in (0, 11):
        others = fit(given.without(row), PRIOR)
        expected = sum(
            others.terms[name].slope * (scores[row] - whole.terms[name].centre) for name, scores in given.scores.items()
        )
        assert left_out[row] == pytest.approx(expected)
    assert spearmanr(left_out, given.merits).statistic > 0.6


def test_leaving_one_out_finds_nothing_where_nothing_is():
    found = [
        spearmanr(leave_one_out(given), given.merits).statistic for given in (examples(30, seed) for seed in range(40))
    ]
    # The mean of 40 independent correlations of 30 has a standard error of 1 / √29 / √40 = 0.03. A fit to nothing leans
    # the wrong way on what it left out, by about two terms in 30.
    assert -0.25 < np.mean(found) < 0.12
