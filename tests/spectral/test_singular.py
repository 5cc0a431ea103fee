"""The two largest singular values against numpy's full decomposition."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
from fullspectrum.spectral import lanczos, singular
from fullspectrum.spectral.matrix import EdgeMatrix
from fullspectrum.spectral.singular import two_largest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

RELATIVE = 1e-5
#: LAPACK's own backward error is a modest multiple of 2.2e-16 · sigma1 (some tens at these sizes), so that a sigma2
#: under 1e-13 · sigma1 has no digits in the reference either.
FLOOR = 1e-13

KINDS = ("bernoulli", "weighted", "rank one", "equal blocks", "duplicate rows", "empty rows", "tiny", "huge", "zeros")


def _matrix(kind: str, rows: int, columns: int, density: float, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mask = generator.random((rows, columns)) < density
    weights = np.abs(generator.standard_normal((rows, columns))) * mask
    if kind == "bernoulli":
        return mask.astype(float)
    if kind == "rank one":
        return np.outer(generator.random(rows), generator.random(columns))
    if kind == "equal blocks":
        block = weights[: -(-rows // 2), : -(-columns // 2)]
        return np.kron(np.eye(2), block)[:rows, :columns] if rows % 2 or columns % 2 else np.kron(np.eye(2), block)
    if kind == "duplicate rows":
        return weights[generator.integers(0, max(1, rows // 3), rows)]
    if kind == "empty rows":
        return weights * (np.arange(rows) % 3 == 0)[:, None]
    return weights * {"weighted": 1.0, "tiny": 1e-30, "huge": 1e30, "zeros": 0.0}[kind]


def _assert_close(matrix) -> None:
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    expected = np.append(np.linalg.svd(dense, compute_uv=False), 0.0)[:2]
    sigma1, sigma2 = two_largest(matrix)
    assert sigma1 >= sigma2 >= 0.0
    assert (sigma1, sigma2) == pytest.approx(expected, rel=RELATIVE, abs=FLOOR * expected[0])


@given(
    st.sampled_from(KINDS),
    st.integers(1, 40),
    st.integers(1, 60),
    st.floats(0.02, 1),
    st.integers(0, 2**32),
    st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=400)
def test_agrees_with_lapack_on_small_matrices(kind, rows, columns, density, seed, is_sparse):
    matrix = _matrix(kind, rows, columns, density, seed)
    _assert_close(sparse.csr_array(matrix) if is_sparse else matrix)


@pytest.mark.parametrize("density", [0.005, 0.05, 0.6])
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_lapack_on_larger_matrices(kind, density):
    _assert_close(sparse.csr_array(_matrix(kind, 400, 350, density, seed=1)))
    _assert_close(_matrix(kind, 350, 400, density, seed=2))


@pytest.mark.parametrize("density", [0.03, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(300, 40), (250, 400)])
@pytest.mark.parametrize("method", ["_by_lanczos", "_gram_by_lanczos", "_gram_by_lapack", "_streamed"])
def test_every_method_certifies_the_values_of_lapack(method, shape, density):
    matrix = _matrix("weighted", *shape, density, seed=3)
    given = EdgeMatrix.from_sparse(sparse.csr_array(matrix)) if method == "_by_lanczos" else matrix
    scale = matrix.max()
    squares, certified = getattr(singular, method)([given], np.array([scale]))
    assert certified.tolist() == [True]
    expected = np.linalg.svd(matrix, compute_uv=False)[:2]
    assert scale * np.sqrt(squares[0]) == pytest.approx(expected, rel=RELATIVE)


def test_the_method_goes_by_size_and_density():
    def method(rows, columns, density):
        edges = round(rows * columns * density)
        starts = np.linspace(0, edges, rows + 1).astype(int)
        return singular._method(EdgeMatrix(starts, np.zeros(edges, dtype=np.int32), None, columns))[0].__name__

    assert method(4608, 512, 0.03) == "_by_lanczos"
    assert method(300, 60, 0.9) == "_gram_by_lapack"
    assert method(4608, 512, 0.9) == "_gram_by_lanczos"
    assert singular._method(np.ones((25088, 4096), dtype=bool))[0].__name__ == "_streamed"


@pytest.mark.parametrize("by_column", [False, True])
def test_a_matrix_has_the_same_values_to_the_bit_whatever_is_in_its_batch(by_column):
    matrices = [
        EdgeMatrix.from_sparse(sparse.csr_array(_matrix("weighted", rows, 300, 0.05, seed=rows)))
        for rows in ((500, 400, 640) if by_column else (200, 100, 250))
    ]
    alone = [singular.two_largest_of([matrix])[0].tolist() for matrix in matrices]
    assert singular.two_largest_of(matrices).tolist() == alone
    with ThreadPoolExecutor(2) as pool:
        assert singular.two_largest_of(matrices[::-1], pool.map).tolist() == alone[::-1]


@pytest.mark.parametrize(("name", "value"), [("PATIENCE", 0), ("CERTIFIED", 0.0), ("FIRST_CERTIFIED", 0.0)])
def test_lanczos_that_cannot_be_certified_falls_back_to_lapack(name, value, monkeypatch):
    monkeypatch.setattr(lanczos, name, value)
    monkeypatch.setattr(lanczos, "expected_steps", lambda side: np.minimum(side, 4))
    calls = []
    svdvals = singular.scipy.linalg.svdvals
    monkeypatch.setattr(singular.scipy.linalg, "svdvals", lambda *a, **k: calls.append(a) or svdvals(*a, **k))
    _assert_close(sparse.csr_array(_matrix("weighted", 400, 350, 0.05, seed=5)))
    assert len(calls) == 1


def test_what_falls_apart_is_solved_component_by_component(monkeypatch):
    monkeypatch.setattr(lanczos, "CERTIFIED", -1.0)
    monkeypatch.setattr(singular, "_method", lambda matrix: (singular._by_lanczos, 1.0))
    shapes = []
    svdvals = singular.scipy.linalg.svdvals
    monkeypatch.setattr(singular.scipy.linalg, "svdvals", lambda a, **k: shapes.append(a.shape) or svdvals(a, **k))
    _assert_close(sparse.block_diag([_matrix("weighted", 30, 20, 0.8, seed=seed) for seed in range(3)], format="csr"))
    assert shapes == [(30, 20)] * 3


@pytest.mark.parametrize("side", [40, 400])
def test_components_are_the_diagonal_blocks_in_any_order(side):
    generator = np.random.default_rng(4)
    blocks = [_matrix("weighted", rows, side, 0.1, seed=rows) for rows in (20, 30, 50)]
    whole = scipy.linalg.block_diag(*blocks)[generator.permutation(100)][:, generator.permutation(3 * side)]
    parts = EdgeMatrix.from_sparse(sparse.csr_array(whole)).components()
    found = np.sort(np.concatenate([np.linalg.svd(part.toarray(), compute_uv=False) for part in parts]))
    assert sum(part.edges for part in parts) == np.count_nonzero(whole)
    expected = np.sort(np.linalg.svd(whole, compute_uv=False))
    assert found[-60:] == pytest.approx(expected[-60:], rel=1e-9)


@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("shape", [(60, 90), (400, 350)])
def test_small_second_value_keeps_five_digits(shape, ratio):
    # Two blocks, constant and with an entry that is larger by `ratio`: nonnegative and nearly of rank one.
    matrix = np.ones(shape)
    matrix[: shape[0] // 2, : shape[1] // 2] += ratio
    expected = np.linalg.svd(matrix, compute_uv=False)[:2]
    # Rounding the entries moves sigma2 by up to about 1e-16 of sigma1 itself.
    assert two_largest(matrix) == pytest.approx(expected, rel=RELATIVE, abs=1e-14 * expected[0])


@pytest.mark.parametrize(
    ("shape", "density", "seed"),
    [((16, 27), 0.9, 39), ((32, 16), 0.9, 44), ((64, 147), 0.9, 0), ((64, 64), 0.95, 3), ((194, 455), 0.999, 0)],
)
@pytest.mark.parametrize("method", ["_by_lanczos", "_gram_by_lanczos"])
def test_copies_of_the_first_value_are_not_taken_for_the_second(method, shape, density, seed, monkeypatch):
    # Nearly full patterns: the recurrence for the first value has converged long before it is looked at.
    monkeypatch.setattr(singular, "_method", lambda matrix: (getattr(singular, method), 1.0))
    for number in range(seed, seed + 30):
        mask = np.zeros(shape[0] * shape[1], dtype=bool)
        mask[np.random.default_rng(number).choice(mask.size, int(density * mask.size), replace=False)] = True
        given = sparse.csr_array(mask.reshape(shape).astype(float))
        _assert_close(given if method == "_by_lanczos" else given.toarray())


@pytest.mark.parametrize("shape", [(40, 60), (3, 3)])
def test_signs_do_not_count_whatever_the_largest_entry(shape):
    matrix = np.random.default_rng(11).standard_normal(shape)
    matrix /= np.abs(matrix).max()
    expected = np.linalg.svd(np.abs(matrix), compute_uv=False)[:2]
    assert two_largest(matrix) == pytest.approx(expected, rel=RELATIVE)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.float16, np.float32])
def test_entries_of_any_real_type(dtype):
    matrix = (np.random.default_rng(12).random((30, 20)) * 100).astype(dtype)
    matrix[0, 0] = 0
    expected = np.linalg.svd(matrix.astype(float), compute_uv=False)[:2]
    assert two_largest(matrix) == pytest.approx(expected, rel=RELATIVE)
    assert two_largest(np.full((4, 9), 3).astype(dtype))[1] == 0.0


def test_blocks_that_are_known_are_solved_apart():
    # Two blocks whose values differ by less than the recurrence would tell apart.
    block = _matrix("weighted", 60, 50, 0.2, seed=13)
    whole = EdgeMatrix.from_sparse(sparse.csr_array(scipy.linalg.block_diag(block, block * (1 + 1e-9))))
    sigma = np.linalg.norm(block, 2)
    first, second = singular.two_largest_of([replace(whole, blocks=2)])[0]
    assert (first, second) == pytest.approx((sigma * (1 + 1e-9), sigma), rel=1e-11)
    assert first > second


@pytest.mark.parametrize("copies", [2, 3])
@pytest.mark.parametrize("side", [30, 200])
def test_equal_components_have_equal_first_and_second_values(side, copies):
    component = sparse.csr_array(_matrix("weighted", side, side + 10, 0.1, seed=7))
    sigma1, sigma2 = two_largest(sparse.block_diag([component] * copies, format="csr"))
    assert sigma2 == pytest.approx(sigma1, rel=1e-12)
    assert sigma1 == pytest.approx(np.linalg.norm(component.toarray(), 2), rel=1e-12)


@pytest.mark.parametrize("side", [5, 1000])
def test_perfect_matching_has_both_values_one(side):
    assert two_largest(sparse.eye_array(side).tocsr()) == pytest.approx((1.0, 1.0), rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (12, 7), (3000, 500)])
def test_equal_entries_have_rank_one_exactly(shape):
    assert two_largest(np.full(shape, -0.5)) == (pytest.approx(0.5 * np.sqrt(np.prod(shape)), rel=1e-12), 0.0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 4), (3, 3)])
def test_zero_and_empty_matrices_have_zero_values(shape):
    assert two_largest(np.zeros(shape)) == (0.0, 0.0)
    assert two_largest(sparse.csr_array(shape)) == (0.0, 0.0)


def test_single_row_has_its_norm_and_zero():
    assert two_largest(np.array([[3.0, 4.0]])) == (pytest.approx(5.0, rel=1e-15), 0.0)


def test_duplicate_sparse_entries_are_summed():
    matrix = sparse.coo_array(([1.0, 2.0, 4.0, 4.0], ([0, 0, 1, 1], [0, 0, 1, 1])), shape=(2, 2))
    assert two_largest(matrix) == pytest.approx((8.0, 3.0), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_scale_of_the_entries_passes_through(scale):
    matrix = _matrix("weighted", 30, 20, 0.4, seed=8)
    expected = np.array(two_largest(matrix)) * scale
    assert two_largest(matrix * scale) == pytest.approx(expected, rel=1e-12)


def test_result_repeats_bit_by_bit_and_leaves_global_chance_and_the_matrix_alone():
    matrix = sparse.csr_array(_matrix("weighted", 500, 400, 0.03, seed=9))
    before = matrix.copy()
    np.random.seed(3)
    state = np.random.get_state()[1].tolist()
    assert len({two_largest(case) for case in (matrix, matrix, before)}) == 1
    assert len({two_largest(sparse.eye_array(500).tocsr()) for _ in range(3)}) == 1
    assert np.random.get_state()[1].tolist() == state
    assert np.array_equal(matrix.data, before.data)


def test_lanczos_draws_no_entropy_from_the_system(monkeypatch):
    seeded = np.random.default_rng

    def default_rng(seed=None):
        assert seed is not None
        return seeded(seed)

    monkeypatch.setattr(np.random, "default_rng", default_rng)
    _assert_close(sparse.csr_array(_matrix("weighted", 500, 400, 0.03, seed=10)))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones(3), "2 axes"),
        (np.ones((2, 2, 2)), "2 axes"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), "finite"),
        (sparse.csr_array(np.array([[1.0, -np.inf], [0.0, 1.0]])), "finite"),
        (np.ones((2, 2), dtype=complex), "real numbers"),
        (np.array([["a", "b"]]), "real numbers"),
    ],
)
def test_invalid_matrix_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        two_largest(matrix)
