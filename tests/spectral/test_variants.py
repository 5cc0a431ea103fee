"""The coordinate as the paper's first author ran it: closed forms, and a plain implementation beside ours."""

from math import isnan, nan, sqrt

import numpy as np
import pytest
from fullspectrum.spectral import SpectralCache, evaluation, full_spectrum
from fullspectrum.spectral.coordinate import FIELDS, VARIANTS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def authors(mask, weights=None, **options):
    """The coordinate of one layer in the authors' variant."""
    coordinate = full_spectrum({"layer": mask}, weights if weights is None else {"layer": weights}, **options)
    return coordinate.in_variant("authors").layers["layer"]


def _largest_eigenvalues(biadjacency: np.ndarray) -> np.ndarray:
    """The three largest absolute eigenvalues of the whole adjacency: σ₁ twice, then σ₂."""
    left, right = biadjacency.shape
    whole = np.zeros((left + right, left + right))
    whole[:left, left:], whole[left:, :left] = biadjacency, biadjacency.T
    return np.sort(np.abs(np.linalg.eigvalsh(whole)))[:-4:-1]


def _plain_gaps(pattern: np.ndarray, heavy: np.ndarray) -> tuple[float, float, int, int] | None:
    """Δr and λ of a graph without its isolated nodes, and its sides; None where the mean degrees are too small."""
    rows, columns = pattern.any(axis=1), pattern.any(axis=0)
    pattern, heavy = pattern[rows][:, columns], heavy[rows][:, columns]
    left, right = pattern.shape
    if not left or not (pattern.sum(axis=1).mean() >= 3 and pattern.sum(axis=0).mean() > 1):
        return None
    first, _, second = _largest_eigenvalues(heavy)
    _, _, plain = _largest_eigenvalues(pattern)
    bound = sqrt(pattern.sum(axis=1).mean() - 1) + sqrt(pattern.sum(axis=0).mean() - 1)
    return bound - plain, first - second, left, right


def _plain(mask: np.ndarray, weights: np.ndarray) -> list[float]:
    """The four components as the first author's code defines them, one graph after the other."""
    pattern = mask.reshape(len(mask), -1).T
    heavy = np.abs(weights * mask).reshape(len(mask), -1).T
    whole = _plain_gaps(pattern, heavy)
    degrees = pattern.sum(axis=1)
    terms = []
    for degree in range(1, len(mask) + 1):
        nodes = degrees == degree
        if nodes.sum() >= 2 and (found := _plain_gaps(pattern[nodes], heavy[nodes])):
            factor = max(found[2:]) / (sum(found[2:]) - 1)
            terms.append((factor * found[0], factor * found[1]))
    means = np.mean(terms, axis=0).tolist() if terms else [nan, nan]
    return [whole[0] if whole else nan, means[0], whole[1] if whole else nan, means[1]]


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=9)), st.integers(0, 2**32 - 1))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_every_component_is_that_of_a_plain_implementation(mask, seed):
    weights = np.random.default_rng(seed).standard_normal(mask.shape)
    assert authors(mask, weights).vector == pytest.approx(_plain(mask, weights), abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("density", [0.05, 0.2, 0.6])
def test_a_convolution_has_the_components_of_a_plain_implementation(density):
    generator = np.random.default_rng(1)
    mask, weights = generator.random((24, 6, 3, 3)) < density, generator.standard_normal((24, 6, 3, 3))
    layer = authors(mask, weights)
    assert layer.vector == pytest.approx(_plain(mask, weights), abs=1e-6, nan_ok=True)
    # Its K contains the paper's.
    assert layer.subgraphs > full_spectrum({"layer": mask}, None).layers["layer"].subgraphs


@pytest.mark.parametrize(("left", "right"), [(2, 3), (2, 9), (3, 3), (5, 4), (20, 7)])
def test_a_complete_graph_has_its_closed_form(left, right):
    layer = authors(np.ones((right, left), dtype=bool), np.full((right, left), -0.5))
    gap, weighted, factor = (
        sqrt(right - 1) + sqrt(left - 1),
        sqrt(left * right) / 2,
        max(left, right) / (left + right - 1),
    )
    assert layer.vector == pytest.approx([gap, factor * gap, weighted, factor * weighted], rel=1e-12)
    assert layer.subgraphs == 1


@pytest.mark.parametrize("shape", [(2, 9), (1, 4), (9, 1)])
def test_mean_degrees_of_less_than_three_on_the_left_or_of_one_on_the_right_define_nothing(shape):
    assert np.isnan(authors(np.ones(shape, dtype=bool), np.ones(shape)).vector).all()


def test_two_left_nodes_that_share_half_of_their_neighbours_by_hand():
    # Each has 4 of 6 right nodes, 2 in common: σ² = 4 ± 2; the mean degrees are 4 and 8/6.
    mask = np.array([[1, 0], [1, 0], [1, 1], [1, 1], [0, 1], [0, 1]], dtype=bool)
    gap, weighted, factor = sqrt(3) + sqrt(1 / 3) - sqrt(2), sqrt(6) - sqrt(2), 6 / 7
    layer = authors(mask, np.ones(mask.shape))
    assert layer.vector == pytest.approx([gap, factor * gap, weighted, factor * weighted], rel=1e-9)
    paper = full_spectrum({"layer": mask}, {"layer": np.ones(mask.shape)}).layers["layer"]
    assert paper.vector == pytest.approx([nan, nan, weighted, nan], rel=1e-9, nan_ok=True)


def test_a_variant_is_another_view_of_the_same_computation(monkeypatch):
    generator = np.random.default_rng(2)
    masks = {"a": generator.random((20, 50)) < 0.2, "b": generator.random((12, 40)) < 0.5}
    weights = {name: generator.standard_normal(mask.shape) for name, mask in masks.items()}
    cache = SpectralCache()
    paper = full_spectrum(masks, weights, cache=cache)
    monkeypatch.setattr(evaluation, "two_largest_of", lambda given, run: np.zeros((0, 2)))
    direct = full_spectrum(masks, weights, variant="authors", cache=cache)
    view = paper.in_variant("authors")
    assert view.to_dict() == direct.to_dict() != paper.to_dict()
    assert view.in_variant("paper") is paper is paper.in_variant(None)
    assert (paper.variant, view.variant) == tuple(VARIANTS)
    assert paper.l2_distance(variant="authors") == direct.l2_distance() != paper.l2_distance()
    assert direct.l2_distance(variant="paper") == paper.l2_distance()
    assert view.mean("imdb") == np.mean([layer.imdb for layer in direct.layers.values()])


@pytest.mark.parametrize("reference", ["origin", "random", "dense"])
def test_distances_and_chance_are_of_the_variant(reference):
    generator = np.random.default_rng(3)
    mask, weights = generator.random((20, 50)) < 0.2, generator.standard_normal((20, 50))
    coordinate = full_spectrum({"a": mask}, {"a": weights}, variant="authors")
    point = {
        "origin": np.zeros(4),
        "dense": authors(np.ones(mask.shape, dtype=bool), weights).vector,
        "random": [score.mean for score in coordinate.chance()["a"].values()],
    }[reference]
    assert coordinate.l2_distance(reference) == pytest.approx(np.linalg.norm(coordinate.layers["a"].vector - point))
    assert coordinate.distance_chance(reference).value == coordinate.l2_distance(reference)
    assert not isnan(coordinate.distance_chance(reference).z)
    assert coordinate.chance()["a"]["imdb"].value == coordinate.layers["a"].imdb
    assert list(coordinate.chance()["a"]) == list(FIELDS)


def test_an_unknown_variant_names_the_choices():
    mask = {"a": np.ones((4, 4))}
    with pytest.raises(ValueError, match="variant must be one of paper, authors, but got 'mine'"):
        full_spectrum(mask, None, variant="mine")
    with pytest.raises(ValueError, match="variant must be one of paper, authors, but got 'mine'"):
        full_spectrum(mask, None).l2_distance(variant="mine")
