"""The graph of a mask: unrolling, isolated nodes, nested subgraphs."""

import numpy as np
import pytest
from fullspectrum.spectral.biadjacency import Biadjacency
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=7))


def test_convolution_is_unrolled_with_input_positions_on_the_left():
    mask = np.random.default_rng(0).random((4, 2, 3, 3)) < 0.9
    graph = Biadjacency.from_mask(mask)
    unrolled = mask.reshape(4, 18).T
    assert (graph.full_left, graph.full_right) == (18, 4)
    assert np.array_equal(graph.pattern().toarray(), unrolled[unrolled.any(axis=1)])


@given(MASKS)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_pattern_is_the_mask_without_its_isolated_nodes(mask):
    unrolled = mask.reshape(len(mask), -1).T
    expected = unrolled[unrolled.any(axis=1)][:, unrolled.any(axis=0)]
    graph = Biadjacency.from_mask(mask)
    assert np.array_equal(graph.pattern().toarray(), expected)
    assert (graph.left, graph.right, graph.edges) == (*expected.shape, np.count_nonzero(mask))


@given(MASKS)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_nested_subgraphs_are_the_shared_left_degrees_with_all_their_neighbours(mask):
    weights = np.arange(mask.size, dtype=float).reshape(mask.shape) - mask.size // 2
    unrolled = mask.reshape(len(mask), -1).T
    magnitudes = np.abs(weights.reshape(len(mask), -1).T) * unrolled
    degrees = unrolled.sum(axis=1)
    expected = [degree for degree in range(1, len(mask) + 1) if (degrees == degree).sum() >= 3]
    nested = list(Biadjacency.from_mask(mask, weights).nested())
    assert [int(subgraph.left_degrees[0]) for subgraph in nested] == expected
    for degree, subgraph in zip(expected, nested, strict=True):
        rows = unrolled[degrees == degree]
        assert np.array_equal(subgraph.pattern().toarray(), rows[:, rows.any(axis=0)])
        assert np.array_equal(subgraph.weighted().toarray(), magnitudes[degrees == degree][:, rows.any(axis=0)])


def test_mean_degrees_count_connected_nodes_only():
    mask = np.zeros((5, 6), dtype=bool)
    mask[:2, :3] = True  # 3 input positions, 2 outputs, 6 edges
    graph = Biadjacency.from_mask(mask)
    assert (graph.mean_left_degree, graph.mean_right_degree) == (2.0, 3.0)
    assert graph.left_degrees.tolist() == [2, 2, 2]


def test_kept_zero_weight_remains_an_edge():
    graph = Biadjacency.from_mask(np.array([[True, True], [True, False]]), np.array([[0.0, -2.0], [3.0, 9.0]]))
    assert graph.edges == 3
    assert graph.magnitudes.tolist() == [0.0, 3.0, 2.0]  # by left node, then right node


def test_fully_masked_layer_is_an_empty_graph():
    graph = Biadjacency.from_mask(np.zeros((3, 4), dtype=bool))
    assert (graph.left, graph.right, graph.edges, graph.full_left, graph.full_right) == (0, 0, 0, 4, 3)
    assert np.isnan([graph.mean_left_degree, graph.mean_right_degree]).all()
    assert list(graph.nested()) == []


@pytest.mark.parametrize("mask", [np.ones(3, dtype=bool), np.ones((2, 2))])
def test_mask_that_is_not_a_boolean_matrix_is_refused(mask):
    with pytest.raises(ValueError, match="boolean array with at least 2 axes"):
        Biadjacency.from_mask(mask)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        Biadjacency.from_mask(np.ones((3, 2), dtype=bool), np.ones((2, 3)))
