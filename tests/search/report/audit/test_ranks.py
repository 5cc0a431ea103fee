"""Rank correlations: those of scipy, partial ones by regression, and within groups."""

import numpy as np
import pytest
from fullspectrum.search.report.audit.ranks import RankedColumn, correlation, partial, spearman
from scipy.stats import rankdata, spearmanr

GENERATOR = np.random.default_rng(5)
#: With ties, two columns of each of three tables.
TABLES = [GENERATOR.integers(0, 7, size=(3, rows)).astype(float) for rows in (5, 12, 40)]
ONE_GROUP = {len(table[0]): np.full(len(table[0]), "") for table in TABLES}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: len(table[0]))
def test_without_groups_the_correlation_is_spearmans(table):
    one, other, _ = table
    assert spearman(one, other, ONE_GROUP[len(one)]) == pytest.approx(spearmanr(one, other).statistic)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: len(table[0]))
def test_a_partial_correlation_is_that_of_what_regression_leaves(table):
    one, other, control = table
    ranks = [rankdata(column) for column in table]
    design = np.column_stack([ranks[2], np.ones(len(one))])
    left = [column - design @ np.linalg.lstsq(design, column, rcond=None)[0] for column in ranks[:2]]
    groups = ONE_GROUP[len(one)]
    pairs = [np.array(spearman(*pair, groups)) for pair in ((one, other), (one, control), (other, control))]
    assert float(partial(*pairs)) == pytest.approx(np.corrcoef(left)[0, 1])


def test_a_partial_correlation_of_known_ranks_has_the_value_of_the_formula():
    # (0.8 − 0.6 · 0.5) / √((1 − 0.36)(1 − 0.25)) = 0.5 / √0.48.
    assert float(partial(np.array(0.8), np.array(0.6), np.array(0.5))) == pytest.approx(0.5 / 0.48**0.5)


def test_nothing_is_left_of_a_column_given_itself():
    assert np.isnan(partial(np.array(0.3), np.array(1.0), np.array(0.3)))


def test_the_ranks_of_a_group_do_not_depend_on_the_others():
    groups = np.array(["b", "a", "b", "a", "b", "a", "a"])
    values = np.array([1, 100, 2, 300, 3, 200, 200.0])
    ranks = RankedColumn(values, groups).of(np.arange(7)[None])[0]
    # Of three rows: −1/4, 0, 1/4; of four, two of them tied: ranks 1, 4, 2.5, 2.5 over 5, less a half.
    assert ranks == pytest.approx([-0.25, -0.3, 0, 0.3, 0.25, 0, 0])


def test_groups_with_other_levels_do_not_hide_a_correlation_within_them():
    groups = np.repeat(["easy", "hard"], 10)
    score = np.tile(np.arange(10.0), 2) - 100 * (groups == "easy")
    accuracy = np.tile(np.arange(10.0), 2) + 100 * (groups == "easy")
    assert spearman(score, accuracy, groups) == pytest.approx(1)
    assert spearman(score, accuracy, np.full(20, "")) < 0


@pytest.mark.parametrize("grouped", [False, True])
def test_ranks_of_a_resample_are_those_of_ranking_it_anew(grouped):
    groups = np.repeat(["a", "b", "c"], [4, 9, 11]) if grouped else np.full(24, "")
    values = GENERATOR.integers(0, 8, size=24).astype(float)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rows = np.array([np.concatenate([GENERATOR.choice(each, len(each)) for each in members]) for _ in range(20)])
    found = RankedColumn(values, groups).of(rows)
    for resample, ranks in zip(rows, found, strict=True):
        place = 0
        for each in members:
            part = slice(place, place + len(each))
            expected = rankdata(values[resample[part]]) / (len(each) + 1) - 0.5
            assert ranks[part] == pytest.approx(expected)
            place += len(each)


def test_infinities_of_one_sign_tie():
    ranks = RankedColumn(np.array([-np.inf, 1, -np.inf, np.inf]), np.full(4, "")).of(np.arange(4)[None])
    assert ranks[0] == pytest.approx(np.array([1.5, 3, 1.5, 4]) / 5 - 0.5)


def test_a_constant_column_ranks_nothing():
    ranks = [
        RankedColumn(np.array(v, float), np.array(["a", "a", "b"])).of(np.arange(3)[None])
        for v in ([5, 5, 1], [1, 2, 3])
    ]
    assert np.isnan(correlation(*ranks)[0])
