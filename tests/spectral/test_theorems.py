"""What holds for the coordinate of every graph, and for large random ones."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import cycle, pairwise, product
from math import sqrt

import numpy as np
import pytest
from fullspectrum.spectral.coordinate import LayerCoordinate, full_spectrum

#: Shapes (out, in) and sparsities: wide and tall, small, and beyond the size up to which LAPACK is used.
LAYERS = [((20, 90), 0.8), ((90, 20), 0.5), ((7, 7), 0.3), ((30, 400), 0.97), ((64, 300), 0.9), ((360, 500), 0.98)]
EACH = pytest.mark.parametrize(("shape", "sparsity"), LAYERS)
#: A singular value is promised to a relative 1e-5.
PROMISED = 1e-5
SIGMAS = ("sigma1", "sigma2", "weighted_sigma1", "weighted_sigma2")
WEIGHTED = ("weighted_gap", "imsg", "weighted_sigma1", "weighted_sigma2")


def _layer(mask: np.ndarray, weights: np.ndarray | None = None) -> LayerCoordinate:
    return full_spectrum({"layer": mask}, None if weights is None else {"layer": weights}).layers["layer"]


def _draw(shape: tuple[int, ...], sparsity: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.random(shape) >= sparsity, generator.standard_normal(shape)


def _assert_same(layer: LayerCoordinate, expected: LayerCoordinate) -> None:
    """Raise unless each field is equal up to the promised error of the singular values in it."""
    given = asdict(layer)
    for field, value in asdict(expected).items():
        size = 1.0 if field.startswith("normalized") else expected.sigma1
        if field in WEIGHTED:
            size = expected.weighted_sigma1
        assert given[field] == pytest.approx(value, rel=PROMISED, abs=PROMISED * size, nan_ok=True), field


@EACH
def test_order_of_the_nodes_does_not_matter(shape, sparsity):
    mask, weights = _draw(shape, sparsity)
    mask[1] = mask[:, 2] = False  # an isolated node on either side
    orders = np.ix_(*(np.random.default_rng(1).permutation(size) for size in shape))
    _assert_same(_layer(mask[orders], weights[orders]), _layer(mask, weights))


@EACH
def test_signs_do_not_matter_and_scale_passes_through_the_weighted_half(shape, sparsity):
    mask, weights = _draw(shape, sparsity)
    layer = _layer(mask, weights)
    for factor in (1e-30, 3.0, 1e30):
        signs = np.random.default_rng(2).choice([-factor, factor], shape)
        scaled = {field: factor * getattr(layer, field) for field in WEIGHTED}
        _assert_same(_layer(mask, weights * signs), replace(layer, **scaled))


@EACH
def test_sides_are_alike_but_for_the_nested_subgraphs(shape, sparsity):
    mask, weights = _draw(shape, sparsity)
    layer, turned = _layer(mask, weights), _layer(mask.T, weights.T)
    for field in (*SIGMAS, "ramanujan_gap", "weighted_gap", "normalized_ramanujan_gap"):
        assert getattr(turned, field) == pytest.approx(getattr(layer, field), rel=PROMISED, abs=PROMISED, nan_ok=True)


def test_company_of_other_layers_does_not_matter():
    drawn = {f"layer{number}": _draw(*layer) for number, layer in enumerate(LAYERS * 2)}
    masks, weights = ({name: pair[side] for name, pair in drawn.items()} for side in (0, 1))
    together = full_spectrum(masks, weights).layers
    for name, (mask, values) in drawn.items():
        assert together[name].to_dict() == _layer(mask, values).to_dict()


@EACH
def test_first_value_lies_between_the_mean_and_the_largest_degrees(shape, sparsity):
    """From below the Rayleigh quotient at the uniform vectors, from above Schur's test."""
    mask, _ = _draw(shape, sparsity)
    left, right = (mask.sum(axis=axis) for axis in (0, 1))
    mean = mask.sum() / sqrt(np.count_nonzero(left) * np.count_nonzero(right))
    sigma1 = _layer(mask).sigma1
    assert mean * (1 - PROMISED) <= sigma1 <= sqrt(left.max() * right.max()) * (1 + PROMISED)


@EACH
def test_squares_of_the_values_add_up_to_the_squared_frobenius_norm(shape, sparsity):
    mask, weights = _draw(shape, sparsity)
    layer = _layer(mask, weights)
    for first, second, total in (
        (layer.sigma1, layer.sigma2, mask.sum()),
        (layer.weighted_sigma1, layer.weighted_sigma2, (weights[mask] ** 2).sum()),
    ):
        side = min(np.count_nonzero(mask.any(axis=axis)) for axis in (0, 1))
        assert first**2 + second**2 <= total * (1 + PROMISED)
        assert first**2 + (side - 1) * second**2 >= total * (1 - PROMISED)


@EACH
def test_values_of_a_nested_subgraph_interlace(shape, sparsity):
    """Removing nodes raises no singular value (Cauchy)."""
    mask, weights = _draw(shape, sparsity)
    whole = _layer(mask, weights)
    degrees = mask.sum(axis=0)
    for degree in np.unique(degrees[degrees > 0]):
        part = _layer(mask & (degrees == degree), weights)
        for field in SIGMAS:
            assert getattr(part, field) <= getattr(whole, field) * (1 + PROMISED)


@EACH
def test_one_removed_node_leaves_the_second_value_its_place(shape, sparsity):
    """Cauchy again, from below: with one node fewer, σ₁ stays at least the whole's σ₂."""
    mask, weights = _draw(shape, sparsity)
    whole = _layer(mask, weights)
    for node in range(0, shape[0], max(1, shape[0] // 5)):
        part = _layer(np.where(np.arange(shape[0])[:, None] == node, False, mask), weights)
        assert part.sigma1 >= whole.sigma2 * (1 - PROMISED)
        assert part.weighted_sigma1 >= whole.weighted_sigma2 * (1 - PROMISED)


@EACH
def test_kept_weights_add_to_the_first_value(shape, sparsity):
    """Perron and Frobenius: the norm of a nonnegative matrix grows with its entries."""
    mask, weights = _draw(shape, sparsity)
    order = np.random.default_rng(3).random(shape)
    layers = [_layer(mask | (order < share), weights) for share in (0.0, 0.01, 0.05, 0.3, 1.0)]
    for fewer, more in pairwise(layers):
        assert more.sigma1 >= fewer.sigma1 * (1 - PROMISED)
        assert more.weighted_sigma1 >= fewer.weighted_sigma1 * (1 - PROMISED)


@EACH
def test_disjoint_union_has_the_values_of_both_parts(shape, sparsity):
    parts = [_draw(shape, sparsity), _draw((12, 12), 0.2, seed=4)]
    layers = [_layer(*part) for part in parts]
    union = []
    for one, other in zip(*parts, strict=True):
        both = np.zeros(np.add(one.shape, other.shape), dtype=one.dtype)
        both[: len(one), : one.shape[1]] = one
        both[len(one) :, one.shape[1] :] = other
        union.append(both)
    whole = _layer(*union)
    for fields in (SIGMAS[:2], SIGMAS[2:]):
        values = sorted((getattr(layer, field) for layer in layers for field in fields), reverse=True)
        assert [getattr(whole, field) for field in fields] == pytest.approx(values[:2], rel=PROMISED)


@pytest.mark.parametrize(("shape", "density"), [((512, 4608), 0.05), ((600, 800), 0.3)])
def test_large_random_masks_have_the_edge_of_marchenko_and_pastur(shape, density):
    """The bulk ends at √v·(√L + √R), v = p(1 - p) (Yin, Bai and Krishnaiah, 1988); p·J stands out of it.

    σ₁ of the sum is √((s² + vL)(s² + vR))/s with s = p·√(LR) (Benaych-Georges and Nadakuditi, 2012).
    """
    draws = [_layer(np.random.default_rng(seed).random(shape) < density) for seed in range(4)]
    right, left = shape
    variance = density * (1 - density)
    spike = density * sqrt(left * right)

    edge = sqrt(variance) * (sqrt(left) + sqrt(right))
    # Within the law of Tracy and Widom, mean -1.2 and deviation 1.3, on the scale of Johnstone (2001) for σ², half of
    # that relative to σ. Sparsity moves the edge by a relative 1/(p·√(LR)) or so (Hwang, Lee and Yang, 2020).
    scale = (1 / sqrt(left) + 1 / sqrt(right)) ** (1 / 3) / (sqrt(left) + sqrt(right)) / 2
    tolerance = 5 * 1.3 * scale / sqrt(len(draws)) + 1 / spike
    assert np.mean([layer.sigma2 for layer in draws]) == pytest.approx(edge * (1 - 1.2 * scale), rel=tolerance)

    # σ₁ moves with the mean of the entries, whose deviation is √v.
    first = sqrt((spike**2 + variance * left) * (spike**2 + variance * right)) / spike
    tolerance = 5 * sqrt(variance / len(draws))
    assert np.mean([layer.sigma1 for layer in draws]) == pytest.approx(first, abs=tolerance)


def _twice(block: np.ndarray) -> np.ndarray:
    block = block[: -(-len(block) // 2), : -(-block.shape[1] // 2)]
    return np.kron(np.eye(2, dtype=block.dtype), block)


#: Functions that make a layer of a kind out of a uniform draw.
KINDS = {
    "plain": lambda mask, weights: (mask, weights),
    "equal weights": lambda mask, weights: (mask, np.ones_like(weights)),
    "kept zeros": lambda mask, weights: (mask, np.where(weights > 0.3, weights, 0)),
    "empty rows": lambda mask, weights: (mask & (np.arange(len(mask)) % 3 == 0)[:, None], weights),
    "empty columns": lambda mask, weights: (mask & (np.arange(mask.shape[1]) % 3 == 0), weights),
    "duplicated rows": lambda mask, weights: (mask[np.arange(len(mask)) // 3], weights[np.arange(len(mask)) // 3]),
    "equal components": lambda mask, weights: (_twice(mask), _twice(weights)),
    "rank one": lambda mask, weights: (np.ones_like(mask), np.outer(weights[:, 0], weights[0])),
    "tiny": lambda mask, weights: (mask, weights * 1e-30),
    "huge": lambda mask, weights: (mask, weights * 1e30),
    "tiny and huge": lambda mask, weights: (mask, np.where(np.arange(mask.shape[1]) % 2, 1e-30, 1e30) * weights),
}
SHAPES = [(1, 1), (1, 40), (40, 1), (5, 3), (8, 8), (30, 200), (120, 30), (200, 1500), (340, 330)]
DENSITIES = (0.002, 0.02, 0.05, 0.1, 0.3, 0.7, 1.0)
CASES = [
    pytest.param(kind, shape, density, id=f"{kind}-{shape}-{density}")
    # Seven densities in turn: each kind and each shape meets all of them.
    for (kind, shape), density in zip(product(KINDS, SHAPES), cycle(DENSITIES), strict=False)
]


def _mean_degrees(mask: np.ndarray) -> np.ndarray:
    return mask.sum() / [np.count_nonzero(mask.any(axis=axis)) for axis in (0, 1)]


def _nested(mask: np.ndarray, weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    degrees = mask.sum(axis=0)
    for degree in np.unique(degrees[degrees > 0]):
        part = mask[:, degrees == degree]
        if part.shape[1] >= 3 and _mean_degrees(part).min() >= 3:
            yield part, weights[:, degrees == degree]


def _reference(matrix: np.ndarray) -> np.ndarray:
    return np.append(np.linalg.svd(matrix, compute_uv=False), 0.0)[:2]


@pytest.mark.parametrize(("kind", "shape", "density"), CASES)
def test_agrees_with_a_full_decomposition_in_double_precision(kind, shape, density):
    generator = np.random.default_rng(6)
    mask = generator.random(shape) < density
    mask[0, 0] = True
    mask, weights = KINDS[kind](mask, generator.random(shape))
    layer = _layer(mask, weights * generator.choice([-1, 1], weights.shape))

    # What is under 1e-13 · sigma1 has no digits in the reference either.
    for first, second, matrix in (
        (layer.sigma1, layer.sigma2, mask.astype(float)),
        (layer.weighted_sigma1, layer.weighted_sigma2, mask * weights),
    ):
        expected = _reference(matrix)
        assert (first, second) == pytest.approx(expected, rel=PROMISED, abs=1e-13 * expected[0])

    nested = list(_nested(mask, weights))
    assert layer.subgraphs == len(nested)
    if not nested:
        assert np.isnan([layer.imdb, layer.imsg]).all()
        return
    bounds = [np.sqrt(_mean_degrees(part) - 1).sum() for part, _ in nested]
    plain = np.array([_reference(part.astype(float)) for part, _ in nested])
    weighted = np.array([_reference(part * values) for part, values in nested])
    tolerances = PROMISED * plain[:, 1] + 1e-13 * plain[:, 0]
    assert layer.imdb == pytest.approx(np.mean(bounds - plain[:, 1]), abs=tolerances.mean())
    assert layer.imsg == pytest.approx(np.mean(weighted @ [1, -1]), abs=PROMISED * weighted.sum(axis=1).mean())
