"""The graph of a mask: unrolling, isolated nodes, nested subgraphs."""

import numpy as np
import pytest
import scipy.linalg
from fullspectrum.spectral.biadjacency import CompleteGraph, bipartite_graph
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=7))


def _pattern(graph) -> np.ndarray:
    matrix = graph.pattern()
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def _weighted(graph) -> np.ndarray:
    matrix = graph.weighted()
    if not isinstance(matrix, np.ndarray):
        return matrix.toarray()
    # A whole graph's weights lie as the layer's do, the right nodes first.
    return np.abs(matrix.T if len(matrix) == graph.right else matrix)


def test_convolution_is_unrolled_with_input_positions_on_the_left():
    mask = np.random.default_rng(0).random((4, 2, 3, 3)) < 0.9
    graph = bipartite_graph(mask)
    unrolled = mask.reshape(4, 18).T
    assert (graph.full_left, graph.full_right) == (18, 4)
    assert np.array_equal(_pattern(graph), unrolled[unrolled.any(axis=1)])


@given(MASKS)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_pattern_is_the_mask_without_its_isolated_nodes(mask):
    unrolled = mask.reshape(len(mask), -1).T
    expected = unrolled[unrolled.any(axis=1)][:, unrolled.any(axis=0)]
    graph = bipartite_graph(mask)
    assert np.array_equal(_pattern(graph), expected)
    assert (graph.left, graph.right, graph.edges) == (*expected.shape, np.count_nonzero(mask))


@given(MASKS)
@settings(deadline=None, derandomize=True, max_examples=150)
def test_nested_subgraphs_are_the_shared_left_degrees_with_all_their_neighbours(mask):
    weights = np.arange(mask.size, dtype=float).reshape(mask.shape) - mask.size // 2
    unrolled = mask.reshape(len(mask), -1).T
    magnitudes = np.abs(weights.reshape(len(mask), -1).T) * unrolled
    degrees = unrolled.sum(axis=1)
    expected = [degree for degree in range(1, len(mask) + 1) if (degrees == degree).sum() >= 2]
    nested = bipartite_graph(mask, weights).nested()
    assert [subgraph.edges // subgraph.left for subgraph in nested] == expected
    for degree, subgraph in zip(expected, nested, strict=True):
        rows = unrolled[degrees == degree]
        assert np.array_equal(_pattern(subgraph), rows[:, rows.any(axis=0)])
        assert np.array_equal(_weighted(subgraph), magnitudes[degrees == degree][:, rows.any(axis=0)])


def test_mean_degrees_count_connected_nodes_only():
    mask = np.zeros((5, 6), dtype=bool)
    mask[:2, :3] = True  # 3 input positions, 2 outputs, 6 edges
    graph = bipartite_graph(mask)
    assert (graph.mean_left_degree, graph.mean_right_degree) == (2.0, 3.0)


def test_kept_zero_weight_remains_an_edge():
    graph = bipartite_graph(np.array([[True, True], [True, False]]), np.array([[0.0, -2.0], [3.0, 9.0]]))
    assert graph.edges == 3
    assert graph.magnitudes.tolist() == [0.0, 3.0, 2.0]  # by left node, then right node


def test_fully_masked_layer_is_an_empty_graph():
    graph = bipartite_graph(np.zeros((3, 4), dtype=bool))
    assert (graph.left, graph.right, graph.edges, graph.full_left, graph.full_right) == (0, 0, 0, 4, 3)
    assert np.isnan([graph.mean_left_degree, graph.mean_right_degree]).all()
    assert list(graph.nested()) == []


@pytest.mark.parametrize("mask", [np.ones(3, dtype=bool), np.ones((2, 2))])
def test_mask_that_is_not_a_boolean_matrix_is_refused(mask):
    with pytest.raises(ValueError, match="boolean array with at least 2 axes"):
        bipartite_graph(mask)


@pytest.mark.parametrize("density", [0.4, 1.0])
def test_groups_make_a_block_diagonal_graph(density):
    generator = np.random.default_rng(2)
    mask, weights = generator.random((6, 2, 3)) < density, generator.standard_normal((6, 2, 3))
    graph = bipartite_graph(mask, weights, groups=3)
    blocks = [np.abs(weights * mask)[first : first + 2].reshape(2, 6).T for first in (0, 2, 4)]
    expected = scipy.linalg.block_diag(*blocks)
    expected = expected[expected.any(axis=1)][:, expected.any(axis=0)]
    assert np.array_equal(_weighted(graph), expected)
    assert np.array_equal(_pattern(graph), expected > 0)
    assert (graph.full_left, graph.full_right) == (18, 6)


def test_depthwise_convolution_is_a_star_for_each_channel():
    graph = bipartite_graph(np.ones((5, 1, 3, 3), dtype=bool), groups=5)
    assert (graph.left, graph.right, graph.edges) == (45, 5, 45)
    assert np.array_equal(_pattern(graph), np.kron(np.eye(5), np.ones((9, 1))))


@pytest.mark.parametrize("groups", [1, 2])
def test_inputs_first_turns_the_graph_round(groups):
    generator = np.random.default_rng(3)
    mask, weights = generator.random((4, 3, 2)) < 0.5, generator.standard_normal((4, 3, 2))
    graph = bipartite_graph(mask, weights, groups, inputs_first=True)
    turned = bipartite_graph(mask, weights, groups)
    assert np.array_equal(_weighted(graph), _weighted(turned).T)
    assert (graph.full_left, graph.full_right) == (turned.full_right, turned.full_left) == (4, 6 * groups)


def test_layer_without_some_channels_is_complete_and_holds_its_weights():
    mask = np.zeros((4, 5), dtype=bool)
    mask[np.ix_([0, 2], [1, 2, 4])] = True
    weights = np.arange(20.0).reshape(4, 5) - 10
    graph = bipartite_graph(mask, weights)
    assert isinstance(graph, CompleteGraph)
    assert np.array_equal(_weighted(graph), np.abs(weights[np.ix_([0, 2], [1, 2, 4])].T))


@pytest.mark.parametrize("groups", [0, 3])
def test_groups_that_do_not_divide_the_first_axis_are_refused(groups):
    with pytest.raises(ValueError, match=f"divide the first axis of the mask, 4, but are {groups}"):
        bipartite_graph(np.ones((4, 2), dtype=bool), groups=groups)


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        bipartite_graph(np.ones((3, 2), dtype=bool), np.ones((2, 3)))
