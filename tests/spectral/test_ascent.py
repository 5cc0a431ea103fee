"""Spectral ascent: what it keeps, that it never falls, and the optimum where that can be enumerated."""

import itertools
import math

import numpy as np
import pytest
from fullspectrum.spectral import ascent
from fullspectrum.spectral.ascent import ascend
from fullspectrum.spectral.coordinate import full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES, Distance, WithoutSpectrum
from fullspectrum.spectral.slopes import Slopes
from fullspectrum.spectral.variants import AUTHORS, PAPER

L2, LAYER = OBJECTIVES["l2"], "layer.weight"


def term(mask, weights, objective, groups=1, inputs_first=False) -> float:
    coordinate = full_spectrum({LAYER: mask}, {LAYER: weights}, {LAYER: groups}, (LAYER,) if inputs_first else ())
    return objective.terms(coordinate)[LAYER]


def layer(shape, density, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Return a uniform random mask and normal weights."""
    generator = np.random.default_rng(seed)
    mask = np.zeros(math.prod(shape), dtype=bool)
    mask[generator.choice(mask.size, int(density * mask.size), replace=False)] = True
    return mask.reshape(shape), generator.standard_normal(shape)


OBJECTIVES_HERE = OBJECTIVES | {"l2 from random": Distance("random")}
LAYERS = {
    "convolution": ((24, 8, 3, 3), 0.3, 1, False),
    "grouped": ((16, 4, 3, 3), 0.5, 2, False),
    "transposed": ((120, 4, 2, 2), 0.5, 2, True),
    "linear": ((30, 50), 0.2, 1, False),
}


@pytest.mark.parametrize(
    ("kind", "name"), [*itertools.product(LAYERS, ["l2", "imdb"]), *(("linear", name) for name in OBJECTIVES_HERE)]
)
def test_the_term_never_falls_and_every_degree_of_every_group_stays(kind, name, monkeypatch):
    monkeypatch.setattr(ascent, "STEPS", 6)  # each step keeps what it found
    shape, density, groups, inputs_first = LAYERS[kind]
    objective, (mask, weights) = OBJECTIVES_HERE[name], layer(shape, density)
    before, start = term(mask, weights, objective, groups, inputs_first), mask.copy()
    found = ascend(LAYER, mask, weights, objective, 0, groups, inputs_first)
    assert np.array_equal(mask, start)
    after = term(found, weights, objective, groups, inputs_first)
    if isinstance(objective, WithoutSpectrum):
        assert np.array_equal(found, mask)
    else:
        assert after > before
    of_groups = [each.reshape(groups, shape[0] // groups, -1) for each in (mask, found)]
    for axis in (1, 2):
        assert np.array_equal(of_groups[0].sum(axis=axis), of_groups[1].sum(axis=axis))


def test_it_is_a_function_of_its_arguments():
    mask, weights = layer((16, 60), 0.2)
    one, same, other = (ascend(LAYER, mask, weights, L2, seed) for seed in (3, 3, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    "mask", [np.eye(12, dtype=bool), np.ones((5, 7), dtype=bool), np.zeros((4, 4), dtype=bool), np.eye(1, 9) > 0]
)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_where_there_is_nothing_to_climb_the_mask_comes_back(mask, name):
    # A matching has no swap that changes its singular values, a full, empty or one-row mask none that keeps degrees.
    assert np.array_equal(ascend(LAYER, mask, np.ones(mask.shape), OBJECTIVES[name], 0).sum(axis=0), mask.sum(axis=0))
    if mask.all() or not mask.any() or len(mask) == 1:
        assert np.array_equal(ascend(LAYER, mask, np.ones(mask.shape), OBJECTIVES[name], 0), mask)


def regular(nodes: int, degree: int) -> list[np.ndarray]:
    """Yield every `degree`-regular bipartite graph of `nodes` on each side."""
    rows = [row for row in itertools.product([0, 1], repeat=nodes) if sum(row) == degree]
    graphs = [[]]
    for _ in range(nodes):
        graphs = [[*graph, row] for graph in graphs for row in rows if max(np.sum([*graph, row], axis=0)) <= degree]
    return [np.array(graph, dtype=bool) for graph in graphs]


def test_three_regular_graphs_of_ten_nodes_end_at_the_largest_gap_there_is():
    # The complements of a 10-cycle, whose sigma2 is the golden ratio, and of a 4-cycle beside a 6-cycle: 2.
    graphs = regular(5, 3)
    assert len(graphs) == 2040
    objective, weights, golden = OBJECTIVES["ramanujan_gap"], np.ones((5, 5)), (1 + 5**0.5) / 2
    gaps = np.array([2 * 2**0.5 - np.linalg.svd(graph)[1][1] for graph in graphs])
    assert set(gaps.round(9)) == {round(2 * 2**0.5 - value, 9) for value in (2, golden)}
    worst = np.flatnonzero(gaps < gaps.mean())[::50]
    assert len(worst) > 5
    for number in worst:
        found = ascend(LAYER, graphs[number], weights, objective, 0)
        assert term(found, weights, objective) == pytest.approx(gaps.max(), rel=1e-5)


def test_two_components_are_joined():
    # Two complete graphs K(4, 4) side by side: sigma2 = sigma1 = 4, and any vector of their plane is singular.
    mask = np.kron(np.eye(2), np.ones((4, 4))) > 0
    found = ascend(LAYER, mask, np.ones((8, 8)), OBJECTIVES["imdb"], 0)
    # The 4-regular bipartite graphs of 8 + 8 nodes: sigma2 >= sqrt((8·4 - 4²) / 7), the mean of the other squares.
    assert 1.5 < np.linalg.svd(found)[1][1] < 2.7


@pytest.mark.parametrize("variant", [PAPER, AUTHORS], ids=["paper", "authors"])
def test_slopes_are_the_derivatives_of_the_gaps(variant):
    mask, weights = layer((6, 60), 0.55, 18)
    degrees, gradient = mask.sum(axis=0), np.array([0.3, -0.7, 0.5, 1.1])
    shared = np.flatnonzero(np.bincount(degrees) >= variant.min_shared)
    shared = shared[shared >= 3]
    graphs = [(np.arange(60), gradient[[0, 2]])]
    for degree in shared:
        nodes = np.flatnonzero(degrees == degree)
        assert mask[:, nodes].any(axis=1).all()  # six right nodes
        factor = max(6, len(nodes)) / (5 + len(nodes)) if variant is AUTHORS else 1.0
        graphs.append((nodes, factor * gradient[[1, 3]] / len(shared)))
    assert len(graphs) == (5 if variant is AUTHORS else 4)
    expected = np.zeros((6, 60))
    for nodes, (whole, heavy) in graphs:
        u, values, v = np.linalg.svd(mask[:, nodes].astype(float), full_matrices=False)
        if values[1] > 1e-9:  # the two nodes of degree 6 make a complete graph, whose second value is 0
            expected[:, nodes] -= whole * np.outer(u[:, 1], v[1])
        w, heavier, x = np.linalg.svd(np.abs(weights * mask)[:, nodes], full_matrices=False)
        change = np.outer(w[:, 0], x[0]) - np.outer(w[:, 1], x[1])
        expected[:, nodes] += heavy * np.abs(weights)[:, nodes] * change
        # A third value this far below the second has exp(-5) of its part at most.
        assert len(nodes) == 2 or max(values[2] / values[1], heavier[2] / heavier[1]) < 0.9
    slopes = Slopes(mask, weights, variant=variant)
    for _ in range(60):
        slopes.follow(np.flatnonzero(mask), gradient)
    np.testing.assert_allclose(slopes(np.arange(360)).reshape(6, 60), expected, atol=0.02 * np.abs(expected).max())
