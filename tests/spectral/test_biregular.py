"""Random biregular graphs: exact degrees, uniform over all of them, and almost Ramanujan."""

import itertools
from collections import Counter

import numpy as np
import pytest
from fullspectrum.spectral.biregular import biregular
from fullspectrum.spectral.gaps import ramanujan_bound
from fullspectrum.spectral.singular import two_largest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import chi2


@given(st.data())
def test_every_degree_is_the_mean_rounded_down_or_up(data):
    left, right = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    edges = data.draw(st.integers(0, left * right))
    mask = biregular(left, right, edges, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    assert mask.dtype == bool and mask.shape == (left, right) and mask.sum() == edges
    for degrees, nodes in ((mask.sum(axis=1), left), (mask.sum(axis=0), right)):
        assert degrees.min() == edges // nodes and degrees.max() == -(-edges // nodes)


def all_biregular(left: int, right: int, edges: int) -> set[bytes]:
    """Return every such graph, by going through all graphs."""
    rows = [np.array(row, dtype=bool) for row in itertools.product([0, 1], repeat=right)]
    graphs = (np.array(chosen) for chosen in itertools.product(rows, repeat=left))
    return {
        graph.tobytes()
        for graph in graphs
        if graph.sum() == edges and max(np.ptp(graph.sum(axis=0)), np.ptp(graph.sum(axis=1))) <= 1
    }


@pytest.mark.parametrize(("left", "right", "edges", "graphs"), [(3, 3, 6, 6), (3, 4, 6, 90), (4, 3, 7, 144)])
def test_every_graph_is_as_likely_as_any_other(left, right, edges, graphs):
    expected = all_biregular(left, right, edges)
    assert len(expected) == graphs  # 6: the complements of the permutations
    generator = np.random.default_rng(0)
    drawn = Counter(biregular(left, right, edges, generator).tobytes() for _ in range(30 * graphs))
    assert set(drawn) == expected
    # Pearson's statistic of counts that are 30 on average; one uniform sampler in a million exceeds the bound.
    assert sum((count - 30) ** 2 / 30 for count in drawn.values()) < chi2.isf(1e-6, graphs - 1)


@pytest.mark.parametrize(("left", "right", "edges"), [(576, 64, 576 * 3), (512, 128, 512 * 6), (256, 256, 256 * 4)])
def test_the_second_singular_value_is_below_that_of_uniform_masks_and_almost_ramanujan(left, right, edges):
    generator = np.random.default_rng(0)
    for _ in range(4):
        uniform = np.zeros(left * right, dtype=bool)
        uniform[generator.choice(uniform.size, edges, replace=False)] = True
        first, second = two_largest(sparse.csr_array(biregular(left, right, edges, generator)))
        assert second < two_largest(sparse.csr_array(uniform.reshape(left, right)))[1]
        # Epsilon vanishes as the graph grows: at the edge of a spectrum values vary by side ** (-2/3) relative to it
        # (Tracy and Widom).
        assert second < ramanujan_bound(edges / left, edges / right) * (1 + min(left, right) ** (-2 / 3))
        # Degrees are exact on both sides, and sigma1 with them.
        assert first == pytest.approx(np.sqrt(edges / left * edges / right), rel=1e-6)


def test_a_graph_is_a_function_of_the_generator():
    one, same, other = (biregular(9, 20, 37, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_more_edges_than_there_are_pairs_of_nodes_are_refused():
    with pytest.raises(ValueError, match="has 0 to 6 edges, but edges=7"):
        biregular(2, 3, 7, np.random.default_rng(0))
