"""The two largest singular values of many matrices, each by the method that is fastest for its size and density."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np
import scipy.linalg
from scipy import sparse

from .lanczos import expected_steps, two_largest_eigenvalues
from .matrix import EdgeMatrix
from .operators import BlockDiagonal, DenseGram, Streamed, magnitudes

#: Edges that are multiplied as one matrix: so many that a product outweighs its call, so few that the cache holds them.
BATCH_EDGES = 2**18

#: Nanoseconds, measured on one core: an edge in one of the two products of a Lanczos step, an entry of a vector in all
#: that a step does with it, a multiplication with addition of a matrix product, an entry of a dense matrix times a
#: vector.
EDGE, VECTOR_ENTRY, PRODUCT, DENSE_ENTRY = 0.75, 12.0, 0.03, 0.35

#: Nanoseconds of LAPACK on a Gram matrix: for its call, and for each side cubed.
LAPACK_CALL, LAPACK_CUBE = 40_000.0, 0.35

#: Nanoseconds of a Lanczos step beside its arithmetic; the matrices of a batch share them.
STEP_CALL = 45_000.0

#: A matrix of fewer edges for each row or column of its larger side needs more steps than others of its size: it goes
#: into batches of its own. Measured on ResNet-34 at sparsity 0.95.
FEW_EDGES = 4

#: Squaring costs digits: an eigenvalue of the Gram matrix carries an error of some 1e-15 · lambda1, so that sigma2
#: keeps seven digits down to lambda2 = 1e-8 · lambda1. A smaller one is computed from the matrix itself.
SQUARING_LIMIT = 1e-8

#: A matrix of absolute values by its entries above 0, or a dense array, whose absolute values are meant.
Matrix = EdgeMatrix | np.ndarray

#: A function as `map`, or that of a pool of threads.
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]

#: A method: matrices of the kind that it is for, and their largest entries, to the squares of the two largest singular
#: values of each, shape (matrices, 2), and whether they are certified, shape (matrices,).
Method = Callable[[list[Any], np.ndarray], tuple[np.ndarray, np.ndarray]]


def two_largest(matrix: np.ndarray | sparse.sparray | sparse.spmatrix) -> tuple[float, float]:
    """Return the two largest singular values of |matrix|, dense or sparse: `two_largest_of` for one checked matrix.

    Raises ValueError unless it has two axes and finite real entries.
    """
    if not sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.ndim != 2:
        raise ValueError(f"matrix must have 2 axes, but got shape {matrix.shape}")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"matrix must hold real numbers, but got {matrix.dtype}")
    given = EdgeMatrix.from_sparse(abs(matrix)) if sparse.issparse(matrix) else matrix
    entries = _entries(given)
    if entries is not None and not np.isfinite(entries).all():
        raise ValueError("matrix must be finite, but it holds nan or inf")
    first, second = two_largest_of([given])[0]
    return float(first), float(second)


def two_largest_of(matrices: Sequence[Matrix], run: Map = map) -> np.ndarray:
    """Return the two largest singular values, sigma1 >= sigma2 >= 0, of each matrix: shape (matrices, 2).

    A matrix is an `EdgeMatrix` with entries >= 0, or a dense array of any real type, whose absolute values are meant.
    sigma2 is 0 where a matrix has only one row or one column; an empty or zero matrix gives (0, 0). Both are within a
    relative 1e-5 of LAPACK in float64, as long as they exceed the rounding of sigma1 itself (about 1e-14 · sigma1).
    A matrix's values are a pure function of it, and not of the others in the list. `run` maps a function over batches,
    by default one after the other.

    Each matrix is solved by the method that is fastest by the costs above:
    - known to consist of blocks, as a grouped convolution's, whose values lie close together: each block by itself;
    - equal entries in a full matrix (a complete bipartite graph), or a single row or column: closed form;
    - sparse: Lanczos on A·Aᵀ, the small side's, of all such matrices of similar size as one block-diagonal matrix;
    - a small side, or many edges: the Gram matrix of the small side, by LAPACK where it is small, else by Lanczos;
    - dense and so large that multiplying it out costs more than reading it once a step: Lanczos on the matrix itself.
    A matrix that the Gram operator cannot resolve or Lanczos cannot certify is split into its connected components, and
    a connected one is decomposed by LAPACK.
    """
    values = np.zeros((len(matrices), 2))
    remaining, apart = [], []
    for number, matrix in enumerate(matrices):
        closed = _closed_form(matrix)
        if closed is not None:
            values[number] = closed
        elif isinstance(matrix, EdgeMatrix) and matrix.blocks > 1:
            apart.append(number)
        else:
            remaining.append(number)
    batches = _batches(matrices, remaining)
    unresolved = []
    for batch, (found, certified) in zip(batches, run(partial(_solved, matrices), batches), strict=True):
        values[batch.numbers] = found
        unresolved += [number for number, sure in zip(batch.numbers, certified, strict=True) if not sure]
    for number, found in zip(apart, run(_by_components, [matrices[number] for number in apart]), strict=True):
        values[number] = found
    for number, found in zip(unresolved, run(_decomposed, [matrices[number] for number in unresolved]), strict=True):
        values[number] = found
    return values


def _closed_form(matrix: Matrix) -> tuple[float, float] | None:
    """Return the values of an empty matrix, a single row or column, and equal entries without a gap; else None."""
    rows, columns = matrix.shape
    stored = matrix.size if isinstance(matrix, np.ndarray) else matrix.edges
    if not stored:
        return 0.0, 0.0
    entries = _entries(matrix)
    equal = entries is None or not any(entries.strides)  # a pattern, or one number seen from everywhere
    highest = 1.0 if entries is None else float(abs(entries.flat[0])) if equal else _largest_entry(matrix)
    if highest == 0.0:
        return 0.0, 0.0
    if min(rows, columns) == 1:
        if entries is None or equal:
            return highest * float(np.sqrt(stored)), 0.0
        return highest * float(np.linalg.norm(np.ravel(entries).astype(np.float64) / highest)), 0.0
    if stored < rows * columns:
        return None
    # The first entry tells most matrices apart without a look at the others.
    if entries is None or equal or (abs(entries.flat[0]) == highest and (abs(entries) == highest).all()):
        return highest * float(np.sqrt(rows) * np.sqrt(columns)), 0.0
    return None


def _entries(matrix: Matrix) -> np.ndarray | None:
    """Return the stored entries of a matrix; None for a pattern of ones."""
    return matrix if isinstance(matrix, np.ndarray) else matrix.values


def _largest_entry(matrix: Matrix) -> float:
    entries = _entries(matrix)
    if entries is None:
        return 1.0
    return float(entries.max() if entries.dtype.kind in "bu" else max(entries.max(), -float(entries.min())))


@dataclass
class _Batch:
    """Matrices, by their numbers, that are solved in one go, and the expected cost in nanoseconds."""

    solve: Method
    numbers: list[int]
    cost: float


def _batches(matrices: Sequence[Matrix], numbers: list[int]) -> list[_Batch]:
    """Return how each matrix is solved, those that go well together as one batch; the longest work first."""
    batches = []
    ragged: dict[tuple[bool, bool], list[tuple[int, int, int, float]]] = {}
    for number in numbers:
        matrix = matrices[number]
        solve, cost = _method(matrix)
        if solve is _by_lanczos and isinstance(matrix, EdgeMatrix):
            rows, columns = matrix.shape
            few = matrix.edges < FEW_EDGES * max(rows, columns)
            steps = int(expected_steps(min(rows, columns)))
            ragged.setdefault((columns < rows, few), []).append((steps, number, matrix.edges, cost))
        else:
            batches.append(_Batch(solve, [number], cost))
    for found in ragged.values():
        first = held = 0
        batch = None
        for steps, number, edges, cost in sorted(found, key=lambda one: (-one[0], one[1])):
            # As long as they need about as many steps: a batch takes as long as its slowest.
            if batch is None or held + edges > BATCH_EDGES or steps < 0.75 * first:
                batch, first, held = _Batch(_by_lanczos, [], 0.0), steps, 0
                batches.append(batch)
            batch.numbers.append(number)
            batch.cost += cost
            held += edges
    return sorted(batches, key=lambda batch: -batch.cost)


def _method(matrix: Matrix) -> tuple[Method, float]:
    """Return the cheapest method for a matrix, and its nanoseconds."""
    rows, columns = matrix.shape
    small, large = min(rows, columns), max(rows, columns)
    steps = int(expected_steps(small))
    gram = PRODUCT * large * small**2
    costs: dict[Method, float] = {
        _gram_by_lapack: gram + LAPACK_CALL + LAPACK_CUBE * small**3,
        _gram_by_lanczos: gram + steps * (DENSE_ENTRY * small**2 + VECTOR_ENTRY * small + STEP_CALL),
    }
    if isinstance(matrix, np.ndarray):
        costs[_streamed] = steps * (2 * DENSE_ENTRY * matrix.size + VECTOR_ENTRY * small + STEP_CALL)
    else:
        costs[_by_lanczos] = steps * (2 * EDGE * matrix.edges + VECTOR_ENTRY * small)
    return min(costs.items(), key=itemgetter(1))


def _solved(matrices: Sequence[Matrix], batch: _Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return the singular values of a batch, shape (matrices, 2), and whether they are certain, (matrices,)."""
    chosen = [matrices[number] for number in batch.numbers]
    scales = np.array([_largest_entry(matrix) for matrix in chosen])
    squares, certified = batch.solve(chosen, scales)
    certified = certified & (squares[:, 1] >= SQUARING_LIMIT * squares[:, 0])
    return scales[:, None] * np.sqrt(np.maximum(squares, 0.0)), certified


def _by_lanczos(matrices: list[EdgeMatrix], scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sides = np.array([min(matrix.shape) for matrix in matrices])
    rows, columns = matrices[0].shape
    return two_largest_eigenvalues(BlockDiagonal(matrices, scales, by_column=columns < rows), sides)


def _streamed(matrices: list[np.ndarray], scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return two_largest_eigenvalues(Streamed(matrices[0], scales[0]), np.array([min(matrices[0].shape)]))


def _gram_by_lanczos(matrices: list[Matrix], scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gram = _gram(matrices[0], scales[0])
    return two_largest_eigenvalues(DenseGram(gram), np.array([len(gram)]))


def _gram_by_lapack(matrices: list[Matrix], scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gram = _gram(matrices[0], scales[0])
    side = len(gram)
    values = scipy.linalg.eigvalsh(gram, subset_by_index=[side - 2, side - 1], check_finite=False)
    return values[None, ::-1], np.array([True])


def _gram(matrix: Matrix, scale: float) -> np.ndarray:
    """Return the Gram matrix of the small side of |matrix| / scale."""
    if not isinstance(matrix, np.ndarray):
        matrix = matrix.toarray()
    if matrix.shape[0] < matrix.shape[1]:
        matrix = matrix.T
    total = np.zeros((matrix.shape[1],) * 2)
    for rows in magnitudes(matrix, scale):
        total += rows.T @ rows
    return total


def _by_components(matrix: EdgeMatrix) -> np.ndarray:
    """Return the two largest values of all connected components, each solved by itself: shape (2,)."""
    return _two_largest_among(matrix.components())


def _two_largest_among(components: list[EdgeMatrix]) -> np.ndarray:
    return np.sort(two_largest_of(components), axis=None)[:-3:-1]


def _decomposed(matrix: Matrix) -> np.ndarray:
    """Return the two largest values, each connected component decomposed by LAPACK: shape (2,)."""
    if isinstance(matrix, EdgeMatrix):
        components = matrix.components()
        if len(components) > 1:
            return _two_largest_among(components)
        matrix = matrix.toarray()
    scale = _largest_entry(matrix)
    scaled = np.abs(matrix, dtype=np.float64) / scale
    return np.asarray(scale * scipy.linalg.svdvals(scaled, overwrite_a=True, check_finite=False)[:2])
