"""The gap formulas, by hand."""

from math import isnan, nan, sqrt

import pytest
from fullspectrum.spectral import gaps


def test_regular_graph_has_the_alon_boppana_bound():
    assert gaps.ramanujan_bound(5, 5) == 4.0
    assert gaps.ramanujan_gap(5, 5, 1.5) == 2.5


def test_bound_takes_both_degrees():
    assert gaps.ramanujan_gap(5.0, 10.0, 0.0) == 5.0


@pytest.mark.parametrize("degrees", [(2.999, 50), (50, 2.999), (nan, 5), (5, nan)])
def test_gap_is_undefined_under_mean_degree_three(degrees):
    assert isnan(gaps.ramanujan_gap(*degrees, 1.0))


def test_gap_is_defined_at_mean_degree_three():
    assert gaps.ramanujan_gap(3, 3, 1.0) == pytest.approx(2 * sqrt(2) - 1)


def test_weighted_gap_needs_two_nodes_on_each_side():
    assert gaps.weighted_gap(2, 2, 3.0, 1.0) == 2.0
    assert isnan(gaps.weighted_gap(1, 9, 3.0, 0.0))
    assert isnan(gaps.weighted_gap(9, 1, 3.0, 0.0))
    assert isnan(gaps.weighted_gap(0, 0, 0.0, 0.0))


def test_gap_over_a_zero_or_undefined_bound_is_undefined():
    assert gaps.normalized(1.0, 4.0) == 0.25
    assert isnan(gaps.normalized(0.0, 0.0))
    assert isnan(gaps.normalized(1.0, nan))


def test_iterative_mean_of_nothing_is_undefined():
    assert gaps.iterative_mean([1.0, 2.0]) == 1.5
    assert isnan(gaps.iterative_mean([]))


def test_narc_of_a_complete_graph_has_no_deviation():
    # 4 x 4, all 16 edges: E = d_L / R0 · L · R, so that narc = 1 · sqrt(16) / 16.
    assert gaps.narc(4, 4, 4, 4, 16, 0.0) == 0.25


def test_narc_counts_dropped_nodes_in_its_full_sizes():
    # L = 4 of 8, R = 4 of 5, E = 16, d_L = 4: ((2² / 4 + 1) · 4 - |16 - 4/5 · 16|) / 40.
    assert gaps.narc(4, 4, 8, 5, 16, 2.0) == pytest.approx((8 - 3.2) / 40, rel=1e-14)


def test_narc_is_undefined_where_the_ramanujan_gap_is():
    assert isnan(gaps.narc(4, 4, 4, 4, 11, 1.0))
    assert isnan(gaps.narc(0, 0, 4, 4, 0, nan))
