"""Families of graphs whose whole spectrum is a theorem.

General source: Brouwer and Haemers, Spectra of Graphs (Springer, 2012). A mask has a row for each right node and a
column for each left node.
"""

from itertools import combinations, product
from math import comb, cos, nan, pi, sqrt

import numpy as np
import pytest
from fullspectrum.spectral.coordinate import LayerCoordinate, full_spectrum
from scipy.linalg import hadamard

SINGER = {2: (7, [0, 1, 3]), 3: (13, [0, 1, 3, 9]), 4: (21, [0, 1, 4, 14, 16])}
SINGER |= {5: (31, [0, 1, 3, 8, 12, 18]), 7: (57, [0, 1, 3, 13, 32, 36, 43, 52])}

#: A family: its mask, its singular values with their multiplicities, and the gap Δr, nan for degrees under 3.
Family = tuple[np.ndarray, dict[float, int], float]


def _layer(mask: np.ndarray, weights: np.ndarray | None = None) -> LayerCoordinate:
    weights = np.full(mask.shape, -0.5) if weights is None else weights
    return full_spectrum({"layer": mask != 0}, {"layer": weights}).layers["layer"]


def _values(spectrum: dict[float, int]) -> np.ndarray:
    """Return the singular values in falling order, each as often as it occurs."""
    values = sorted(spectrum, reverse=True)
    return np.repeat(values, [spectrum[value] for value in values])


def _circulant(size: int, offsets) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    for offset in offsets:
        mask[np.arange(size), (np.arange(size) + offset) % size] = True
    return mask


def _points(q: int, length: int) -> np.ndarray:
    """Return the points of PG(length - 1, q), q prime: vectors whose first coordinate other than 0 is 1."""
    vectors = product(range(q), repeat=length)
    return np.array([vector for vector in vectors if next(filter(None, vector), 0) == 1])


def _squares(prime: int) -> set[int]:
    return {x * x % prime for x in range(1, prime)}


def projective_plane(q: int) -> Family:
    """Return points and lines of PG(2, q), any two points on one line: M·Mᵀ = q·I + J."""
    if q in SINGER:
        mask = _circulant(*SINGER[q])  # Singer's perfect difference set (Trans. AMS, 1938)
    else:
        points = _points(q, 3)
        mask = points @ points.T % q == 0
    return mask, {q + 1: 1, sqrt(q): q * q + q}, sqrt(q)


def affine_plane(q: int) -> Family:
    """Return PG(2, q) less a line and its points, degrees (q + 1, q): over the points M·Mᵀ = q·I + J."""
    plane = projective_plane(q)[0]
    return plane[1:, ~plane[0]], {sqrt(q * q + q): 1, sqrt(q): q * q - 1}, sqrt(q - 1)


def quadrangle(q: int) -> Family:
    """Return the generalised quadrangle W(q) of the symplectic form on PG(3, q) (Payne and Thas, 1984).

    M·Mᵀ = A + (q + 1)·I with A the collinearity graph, strongly regular with eigenvalues q(q + 1), q - 1, -(q + 1).
    """
    points = _points(q, 4)
    form = np.kron(np.eye(2, dtype=int), [[0, 1], [-1, 0]])
    collinear = points @ form @ points.T % q == 0
    # No three points of different lines are mutually collinear: what is collinear with two points is their line.
    pairs = [(x, y) for x, y in combinations(range(len(points)), 2) if collinear[x, y]]
    lines = np.unique([collinear[x] & collinear[y] for x, y in pairs], axis=0)
    spectrum = {q + 1: 1, sqrt(2 * q): q * (q + 1) ** 2 // 2, 0: q * (q * q + 1) // 2}
    return lines, spectrum, 2 * sqrt(q) - sqrt(2 * q)


def hadamard_design(prime: int) -> Family:
    """Return the squares modulo p = 3 mod 4, a 2-(p, (p-1)/2, (p-3)/4) design (Paley, 1933): M·Mᵀ = (p+1)/4·I + λ·J."""
    second = sqrt(prime + 1) / 2
    mask = _circulant(prime, _squares(prime))
    return mask, {(prime - 1) / 2: 1, second: prime - 1}, 2 * sqrt((prime - 3) / 2) - second


def paley_cover(prime: int) -> Family:
    """Return the double cover of the Paley graph, p = 1 mod 4: its eigenvalues are (p - 1)/2 and (-1 ± √p)/2."""
    second, third, half = (sqrt(prime) + 1) / 2, (sqrt(prime) - 1) / 2, (prime - 1) // 2
    mask = _circulant(prime, _squares(prime))
    return mask, {half: 1, second: half, third: half}, 2 * sqrt(half - 1) - second


def petersen_cover() -> Family:
    """Return the double cover of the Petersen graph (disjoint pairs of five): its eigenvalues are 3, 1⁵, (-2)⁴."""
    pairs = [set(pair) for pair in combinations(range(5), 2)]
    mask = np.array([[not one & other for other in pairs] for one in pairs])
    return mask, {3: 1, 2: 4, 1: 5}, 2 * sqrt(2) - 2


def crown(size: int) -> Family:
    """Return the complete bipartite graph less a perfect matching, the double cover of a complete graph: M = J - I."""
    return ~np.eye(size, dtype=bool), {size - 1: 1, 1: size - 1}, 2 * sqrt(size - 2) - 1 if size > 3 else nan


def hypercube(dimension: int) -> Family:
    """Return Qₙ by vertices of even and odd weight: eigenvalues n - 2k, C(n, k) times. Ramanujan for n ≤ 6 only."""
    vertices = np.arange(2**dimension)
    odd = np.bitwise_count(vertices) % 2 == 1
    mask = np.bitwise_count(vertices[odd, None] ^ vertices[~odd]) == 1
    spectrum = {dimension - 2 * k: comb(dimension, k) for k in range((dimension + 1) // 2)}
    if dimension % 2 == 0:
        spectrum[0] = comb(dimension, dimension // 2) // 2
    return mask, spectrum, 2 * sqrt(dimension - 1) - (dimension - 2)


def hadamard_lift(size: int) -> Family:
    """Return the 2-lift of a complete bipartite graph whose signs are a Hadamard matrix, which has all values √n."""
    signs = hadamard(size)
    mask = np.block([[signs > 0, signs < 0], [signs < 0, signs > 0]])
    return mask, {size: 1, sqrt(size): size, 0: size - 1}, 2 * sqrt(size - 1) - sqrt(size)


def complete(left: int, right: int) -> Family:
    """Return the complete bipartite graph, of rank one."""
    gap = sqrt(left - 1) + sqrt(right - 1) if min(left, right) >= 3 else nan
    return np.ones((right, left), dtype=bool), {sqrt(left * right): 1, 0: min(left, right) - 1}, gap


def cycle(half: int) -> Family:
    """Return the cycle of 2n vertices: M = I + P with P a cyclic shift, hence 2·|cos(πk/n)|."""
    spectrum = {2 * cos(pi * k / half): 1 if k in (0, half / 2) else 2 for k in range(half // 2 + 1)}
    return _circulant(half, [0, 1]), spectrum, nan


def path(vertices: int) -> Family:
    """Return the path of n vertices: the eigenvalues are 2·cos(πk/(n + 1))."""
    right = vertices // 2
    left = vertices - right
    spectrum = {2 * cos(pi * k / (vertices + 1)): 1 for k in range(1, right + 1)}
    return np.eye(right, left) + np.eye(right, left, k=1) > 0, spectrum, nan


def matching(size: int) -> Family:
    """Return a perfect matching: M = I."""
    return np.eye(size, dtype=bool), {1: size}, nan


#: The largest of most kinds lies beyond the size up to which LAPACK is used.
FAMILIES = [(projective_plane, q) for q in (2, 3, 4, 5, 7, 19)]
FAMILIES += [(affine_plane, q) for q in (3, 5)]
FAMILIES += [(quadrangle, q) for q in (2, 3, 7)]
FAMILIES += [(hadamard_design, prime) for prime in (11, 23, 383)]
FAMILIES += [(paley_cover, prime) for prime in (13, 29, 401)]
FAMILIES += [(petersen_cover,), (crown, 3), (crown, 4), (crown, 50), (crown, 400)]
FAMILIES += [(hypercube, dimension) for dimension in (3, 4, 6, 7, 10)]
FAMILIES += [(hadamard_lift, size) for size in (4, 16, 256)]
FAMILIES += [(complete, *sides) for sides in ((3, 3), (30, 7), (400, 500), (2, 9), (1, 9), (9, 1), (1, 1))]
FAMILIES += [(cycle, half) for half in (3, 8, 401)]
FAMILIES += [(path, vertices) for vertices in (2, 3, 8, 9, 801)]
FAMILIES += [(matching, size) for size in (2, 5, 400)]
EACH = pytest.mark.parametrize(
    ("family", "arguments"),
    [pytest.param(family, each, id=f"{family.__name__}{each}") for family, *each in FAMILIES],
)


@EACH
def test_spectrum_and_gaps_are_the_known_ones(family, arguments):
    mask, spectrum, gap = family(*arguments)
    values = _values(spectrum)
    # The graph itself first: a slip in its construction is not to be taken for one in the scores.
    assert np.linalg.svd(mask.astype(float), compute_uv=False) == pytest.approx(values, abs=1e-12 * mask.size)

    first, second = np.append(values, 0.0)[:2]
    weighted_gap = (first - second) / 2 if min(mask.shape) > 1 else nan
    layer = _layer(mask)
    exact = {"rel": 1e-9, "abs": 1e-9 * first, "nan_ok": True}
    assert (layer.sigma1, layer.sigma2) == pytest.approx((first, second), **exact)
    assert (layer.weighted_sigma1, layer.weighted_sigma2) == pytest.approx((first / 2, second / 2), **exact)
    assert (layer.ramanujan_gap, layer.weighted_gap) == pytest.approx((gap, weighted_gap), **exact)
    assert layer.normalized_ramanujan_gap == pytest.approx(gap / (gap + second), **exact)
    assert layer.normalized_weighted_gap == pytest.approx(weighted_gap / (first / 2), **exact)


@EACH
def test_left_regular_graph_is_its_own_nested_subgraph(family, arguments):
    mask, _, gap = family(*arguments)
    layer = _layer(mask)
    if np.isnan(gap):  # the iterative means need degrees of 3, as Δr does
        assert layer.subgraphs == 0
        assert np.isnan([layer.imdb, layer.imsg]).all()
    else:
        assert layer.subgraphs == 1
        assert (layer.imdb, layer.imsg) == pytest.approx((layer.ramanujan_gap, layer.weighted_gap), rel=1e-12)


@EACH
def test_union_of_copies_has_the_first_value_twice(family, arguments):
    mask, spectrum, gap = family(*arguments)
    first, second = np.append(_values(spectrum), 0.0)[:2]
    layer = _layer(np.kron(np.eye(2), mask))
    assert (layer.sigma1, layer.sigma2) == pytest.approx((first, first), rel=1e-9)
    assert layer.weighted_gap == pytest.approx(0.0, abs=1e-9 * first)
    assert layer.ramanujan_gap == pytest.approx(gap + second - first, rel=1e-9, abs=1e-9 * first, nan_ok=True)


@pytest.mark.parametrize(("dimension", "ramanujan"), [(6, True), (7, False)])
def test_hypercube_stops_being_ramanujan_at_seven(dimension, ramanujan):
    # (n - 2)² ≤ 4·(n - 1) holds for n ≤ 4 + √8.
    assert (_layer(hypercube(dimension)[0]).ramanujan_gap > 0) == ramanujan


@pytest.mark.parametrize("base", [affine_plane(3), projective_plane(4), quadrangle(3), complete(6, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_two_lift_has_the_values_of_the_base_and_of_its_signing(base, seed):
    """Bilu and Linial, Lifts, discrepancy and nearly optimal spectral gap (Combinatorica, 2006), lemma 3.1."""
    mask, spectrum, gap = base
    signs = np.random.default_rng(seed).choice([-1, 1], mask.shape) * mask
    lift = np.block([[signs > 0, signs < 0], [signs < 0, signs > 0]])
    values = [np.linalg.svd(matrix.astype(float), compute_uv=False) for matrix in (mask, signs)]
    first, second = np.sort(np.concatenate(values))[:-3:-1]
    layer = _layer(lift)
    assert (layer.sigma1, layer.sigma2) == pytest.approx((first, second), rel=1e-9)
    assert layer.ramanujan_gap == pytest.approx(gap + _values(spectrum)[1] - second, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("shapes", [((5, 7), (6, 4)), ((9, 4), (3, 11)), ((12, 30), (30, 15))])
@pytest.mark.parametrize("density", [0.5, 1.0])
def test_values_of_a_kronecker_product_multiply(shapes, density):
    """Horn and Johnson, Topics in Matrix Analysis (1991), theorem 4.2.15."""
    generator = np.random.default_rng(0)
    factors = [generator.random(shape) * (generator.random(shape) < density) for shape in shapes]

    def expected(one: np.ndarray, other: np.ndarray) -> list[float]:
        products = np.outer(np.linalg.svd(one, compute_uv=False), np.linalg.svd(other, compute_uv=False))
        return np.sort(products, axis=None)[:-3:-1].tolist()

    weights = np.kron(*factors)
    layer = _layer(weights, weights)
    exact = {"rel": 1e-9, "abs": 1e-9 * layer.sigma1}
    assert [layer.weighted_sigma1, layer.weighted_sigma2] == pytest.approx(expected(*factors), **exact)
    assert [layer.sigma1, layer.sigma2] == pytest.approx(expected(*(f > 0 for f in factors)), **exact)


@EACH
def test_blowing_up_the_nodes_multiplies_the_values(family, arguments):
    """The product with an all-ones block of m by n: its only value is √(mn)."""
    mask, spectrum, _ = family(*arguments)
    first, second = sqrt(6) * np.append(_values(spectrum), 0.0)[:2]
    layer = _layer(np.kron(mask, np.ones((2, 3))))
    exact = {"rel": 1e-9, "abs": 1e-9 * first}
    assert (layer.sigma1, layer.sigma2) == pytest.approx((first, second), **exact)
    assert (layer.weighted_sigma1, layer.weighted_sigma2) == pytest.approx((first / 2, second / 2), **exact)
