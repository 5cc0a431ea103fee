"""The two largest singular values of a matrix."""

from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy import sparse
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

# Measured on one core, sparse and dense: up to here LAPACK on the Gram matrix of the small side is faster than Lanczos.
LAPACK_SIDE = 320
# A dense matrix is multiplied out to its Gram matrix up to this side; beyond, side² · length outweighs the iterations.
GRAM_SIDE = 2048
# Below this size, or above this density, a sparse matrix is handled faster as a dense one.
DENSE_ENTRIES = 2**15
DENSE_FRACTION = 0.1
# Squaring costs digits: an eigenvalue of the Gram matrix carries an error of some 1e-15 · lambda1, so that sigma2 keeps
# seven digits down to lambda2 = 1e-8 · lambda1. What is smaller is computed from the matrix itself.
SQUARING_LIMIT = 1e-8
# The residual bound on an eigenvalue, relative to itself; half of it is the relative error of the singular value.
CERTIFIED = 1e-6
# The first vector is deflated with, so that its residual enters both values; the second is the end of the line.
FIRST_TOLERANCE = 1e-12
SECOND_TOLERANCE = 1e-7
MAX_RESTARTS = 300


def two_largest(matrix: np.ndarray | sparse.sparray | sparse.spmatrix) -> tuple[float, float]:
    """The two largest singular values, sigma1 >= sigma2 >= 0, of a real matrix, dense or sparse.

    sigma2 is 0 where the matrix has only one row or one column; an empty or zero matrix gives (0, 0). Both are within
    a relative 1e-5 of LAPACK in float64, as long as they exceed the rounding of sigma1 itself (about 1e-14 · sigma1).
    A pure function of the matrix. Raises ValueError unless it has two axes and finite real entries.

    The entries are divided by the largest one first, so that no scale of weights overflows when squared. Then
    - a matrix of equal entries (a complete bipartite graph) has rank one: sigma1 in closed form, sigma2 = 0;
    - with a small side up to `LAPACK_SIDE`: LAPACK on the Gram matrix of that side;
    - beyond: Lanczos for the largest eigenvalue of the Gram operator, and again, from a fresh start, with the vector
      found projected out. A single run would see a multiple eigenvalue once (a graph of equal components has
      sigma1 = sigma2). Both residuals must certify the values, by Weyl's inequality.
    What the Gram matrix cannot resolve, and what Lanczos cannot certify, is computed by LAPACK from the matrix itself.
    """
    matrix = _checked(matrix)
    rows, columns = matrix.shape
    entries = matrix.data if sparse.issparse(matrix) else matrix
    lowest, highest = float(entries.min(initial=0.0)), float(entries.max(initial=0.0))
    scale = max(-lowest, highest)
    if scale == 0.0:
        return 0.0, 0.0
    if entries.size == rows * columns and abs(entries.flat[0]) == scale and (entries == entries.flat[0]).all():
        return scale * float(np.sqrt(rows) * np.sqrt(columns)), 0.0
    # Turned so that the columns are the small side: its Gram matrix is then always matrix.T @ matrix.
    matrix = (matrix if columns <= rows else matrix.T) / scale
    if min(rows, columns) == 1:
        return scale * float(np.sqrt((matrix**2).sum())), 0.0
    squares = _squares(matrix)
    if squares is None or squares[1] < SQUARING_LIMIT * squares[0]:
        dense = matrix.toarray() if sparse.issparse(matrix) else matrix
        first, second = scipy.linalg.svdvals(dense, check_finite=False)[:2]
    else:
        first, second = np.sqrt(squares)
    return scale * float(first), scale * float(second)


def _checked(matrix: np.ndarray | sparse.sparray | sparse.spmatrix) -> np.ndarray | sparse.csr_array:
    """The matrix as float64, in the form that is faster to compute with."""
    if not sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have 2 axes, but got shape {matrix.shape}.")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"matrix must hold real numbers, but got {matrix.dtype}.")
    if sparse.issparse(matrix):
        matrix = sparse.csr_array(matrix, dtype=np.float64)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        size = matrix.shape[0] * matrix.shape[1]
        if size <= DENSE_ENTRIES or matrix.nnz > DENSE_FRACTION * size:
            matrix = matrix.toarray()
    else:
        matrix = matrix.astype(np.float64, copy=False)
    if not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
        raise ValueError("matrix must be finite, but it holds nan or inf.")
    return matrix


def _squares(matrix: np.ndarray | sparse.sparray) -> tuple[float, float] | None:
    """The two largest eigenvalues of matrix.T @ matrix, or None where Lanczos could not certify them."""
    side = matrix.shape[1]
    is_sparse = sparse.issparse(matrix)
    if side <= LAPACK_SIDE:
        gram = matrix.T @ matrix
        gram = gram.toarray() if is_sparse else gram
        values = scipy.linalg.eigvalsh(gram, subset_by_index=[side - 2, side - 1], check_finite=False)
        return float(values[1]), float(values[0])
    if is_sparse or side > GRAM_SIDE:
        transposed = matrix.T.tocsr() if is_sparse else matrix.T
        return _lanczos(lambda x: transposed @ (matrix @ x), side)
    gram = matrix.T @ matrix
    return _lanczos(lambda x: gram @ x, side)


def _lanczos(gram: Callable[[np.ndarray], np.ndarray], side: int) -> tuple[float, float] | None:
    """The two largest eigenvalues of a positive semidefinite operator with `side` rows, or None if not certified.

    With v the first vector, r1 its residual and P the projection that removes it, the operator differs from the direct
    sum of its value on v and P·gram·P by a matrix of norm r1. By Weyl's inequality each value is then within r1 plus
    its own residual of an eigenvalue.
    """
    start = np.random.default_rng(0).standard_normal((2, side))
    try:
        first, vector, first_residual = _top(gram, start[0], FIRST_TOLERANCE)

        def remainder(x: np.ndarray) -> np.ndarray:
            y = gram(x - vector * (vector @ x))
            return y - vector * (vector @ y)

        second, _, second_residual = _top(remainder, start[1], SECOND_TOLERANCE)
    except ArpackError:
        return None
    first, second = max(first, second), min(first, second)
    certified = first_residual + second_residual <= CERTIFIED * second
    return (first, second) if certified else None


def _top(
    operator: Callable[[np.ndarray], np.ndarray], start: np.ndarray, tolerance: float
) -> tuple[float, np.ndarray, float]:
    """The largest eigenvalue of a symmetric operator, its unit vector, and the norm of their residual."""
    side = len(start)
    # ARPACK hands over columns of shape (side, 1) at times; the operator sees flat vectors only.
    linear = LinearOperator((side, side), matvec=lambda x: operator(x.ravel()), dtype=np.float64)
    # The generator refills the Krylov space where it closes early, as on a perfect matching.
    generator = np.random.default_rng(0)
    values, vectors = eigsh(linear, k=1, which="LA", v0=start, tol=tolerance, maxiter=MAX_RESTARTS, rng=generator)
    value, vector = float(values[0]), vectors[:, 0] / np.linalg.norm(vectors[:, 0])
    return value, vector, float(np.linalg.norm(operator(vector) - value * vector))
