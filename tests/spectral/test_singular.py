"""The two largest singular values against numpy's full decomposition."""

import numpy as np
import pytest
from fullspectrum.spectral import singular
from fullspectrum.spectral.singular import LAPACK_SIDE, two_largest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

RELATIVE = 1e-5
# LAPACK's own backward error is a modest multiple of 2.2e-16 · sigma1 (some tens at these sizes), so that a sigma2
# under 1e-13 · sigma1 has no digits in the reference either.
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
def test_agrees_with_lapack_beyond_the_cross_over_to_lanczos(kind, density):
    rows, columns = LAPACK_SIDE + 80, LAPACK_SIDE + 30
    _assert_close(sparse.csr_array(_matrix(kind, rows, columns, density, seed=1)))
    _assert_close(_matrix(kind, columns, rows, density, seed=2))


@pytest.mark.parametrize("side", [LAPACK_SIDE, LAPACK_SIDE + 1])
def test_both_sides_of_the_cross_over_take_their_own_branch(side, monkeypatch):
    calls = []
    lanczos = singular._lanczos
    monkeypatch.setattr(singular, "_lanczos", lambda *given: calls.append(given) or lanczos(*given))
    for density in (0.03, 0.5):
        _assert_close(sparse.csr_array(_matrix("weighted", 500, side, density, seed=3)))
    assert len(calls) == (2 if side > LAPACK_SIDE else 0)


def test_dense_matrix_beyond_the_gram_side_agrees_with_lapack(monkeypatch):
    monkeypatch.setattr(singular, "GRAM_SIDE", LAPACK_SIDE)
    _assert_close(_matrix("weighted", 350, 400, 0.9, seed=4))


@pytest.mark.parametrize(("name", "value"), [("MAX_RESTARTS", 1), ("CERTIFIED", 0.0)])
def test_lanczos_that_fails_or_cannot_be_certified_falls_back_to_lapack(name, value, monkeypatch):
    monkeypatch.setattr(singular, name, value)
    calls = []
    svdvals = singular.scipy.linalg.svdvals
    monkeypatch.setattr(singular.scipy.linalg, "svdvals", lambda *a, **k: calls.append(a) or svdvals(*a, **k))
    _assert_close(sparse.csr_array(_matrix("weighted", 400, 350, 0.05, seed=5)))
    assert len(calls) == 1


@pytest.mark.parametrize("ratio", [1e-2, 1e-4, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("shape", [(60, 90), (400, 350)])
def test_small_second_value_keeps_five_digits(shape, ratio):
    generator = np.random.default_rng(6)
    left, _ = np.linalg.qr(generator.standard_normal((shape[0], 3)))
    right, _ = np.linalg.qr(generator.standard_normal((shape[1], 3)))
    values = two_largest(left @ np.diag([1.0, ratio, ratio / 2]) @ right.T)
    # Forming the product rounds each entry, which moves sigma2 by up to about 1e-16 itself.
    assert values == pytest.approx((1.0, ratio), rel=RELATIVE, abs=1e-15)


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
