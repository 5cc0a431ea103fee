"""The definitions by hand, on unions of complete graphs: which subgraphs are nested, and what is undefined."""

from math import sqrt

import numpy as np
import pytest
from fullspectrum.spectral import full_spectrum


def _layer(mask: np.ndarray, weights: np.ndarray | None = None):
    weights = np.ones(mask.shape) if weights is None else weights
    return full_spectrum({"layer": mask}, {"layer": weights}).layers["layer"]


def _blocks(*shapes: tuple[int, int]) -> np.ndarray:
    """Return a mask (out, in) whose graph is a disjoint union of complete ones, given as (left, right) sizes."""
    mask = np.zeros(tuple(np.sum(shapes, axis=0))[::-1], dtype=bool)
    row = column = 0
    for left, right in shapes:
        mask[row : row + right, column : column + left] = True
        row, column = row + right, column + left
    return mask


def test_nested_subgraphs_of_two_complete_components():
    layer = _layer(_blocks((4, 3), (5, 4)))  # left degrees 3 (four times) and 4 (five times)
    assert layer.subgraphs == 2
    assert layer.ramanujan_gap == pytest.approx(sqrt(32 / 9 - 1) + sqrt(32 / 7 - 1) - sqrt(12), rel=1e-12)
    assert layer.imdb == pytest.approx((sqrt(2) + sqrt(3) + sqrt(3) + sqrt(4)) / 2, rel=1e-12)
    assert layer.weighted_gap == pytest.approx(sqrt(20) - sqrt(12), rel=1e-12)
    assert layer.imsg == pytest.approx((sqrt(20) + sqrt(12)) / 2, rel=1e-12)
    assert layer.normalized_imdb == pytest.approx(1.0, rel=1e-12)
    assert layer.normalized_imsg == pytest.approx(1.0, rel=1e-12)


def test_degree_shared_by_two_left_nodes_is_not_nested():
    assert _layer(_blocks((4, 3), (2, 6))).imdb == pytest.approx(sqrt(2) + sqrt(3), rel=1e-12)


@pytest.mark.parametrize("rest", [[(8, 2)], [(1, 5), (1, 5), (1, 5)]], ids=["left degree 2", "right degree 1"])
def test_subgraph_of_low_mean_degree_enters_neither_iterative_mean(rest):
    layer = _layer(_blocks((4, 3), *rest))  # the rest is nested too, but one of its mean degrees is under 3
    assert layer.subgraphs == 1
    assert layer.imdb == pytest.approx(sqrt(2) + sqrt(3), rel=1e-12)
    assert layer.imsg == pytest.approx(sqrt(12), rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1)])
def test_star_is_undefined_but_has_its_first_value(shape):
    layer = _layer(np.ones(shape, dtype=bool))
    assert np.isnan(layer.vector).all()
    assert np.isnan([layer.narc, layer.normalized_weighted_gap]).all()
    assert (layer.sigma1, layer.sigma2, layer.subgraphs) == (pytest.approx(3.0), 0.0, 0)


def test_low_degree_leaves_only_the_weighted_gap_defined():
    layer = _layer(_blocks((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]]))  # eigenvalues 3 and -1
    assert np.isnan([layer.ramanujan_gap, layer.imdb, layer.imsg, layer.narc]).all()
    assert layer.weighted_gap == pytest.approx(2.0, rel=1e-12)
    assert not layer.defined


def test_isolated_nodes_change_nothing_but_sparsity_and_narc():
    mask = ~np.eye(5, dtype=bool)  # 4-regular, sigma2 = 1
    padded = np.pad(mask, ((2, 1), (0, 5)))
    bare, layer = _layer(mask), _layer(padded)
    assert np.array_equal(layer.vector, bare.vector)
    assert layer.sparsity == 1 - 20 / (8 * 10)
    # L = R = 5, E = 20, d_L = 4; L0 = 10, R0 = 8.
    assert layer.narc == pytest.approx(((1 / 4 + 1) * 5 - abs(20 - 4 / 8 * 25)) / (10 * 8), rel=1e-9)
    assert bare.narc == pytest.approx((1 / 4 + 1) * 5 / 25, rel=1e-9)
