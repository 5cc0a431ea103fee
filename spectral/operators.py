"""Gram operators that the Lanczos recurrence runs on: many sparse matrices at once, or one dense matrix."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import sparse

from .matrix import EdgeMatrix

# Rows of a dense matrix that are multiplied at a time: small enough to stay in the cache when read twice.
STREAMED_ENTRIES = 2**17


class BlockDiagonal:
    """The Gram operators A·Aᵀ of several matrices as one, so that a product costs one call and not one for each.

    A vector holds a segment for each matrix; it belongs to the rows, or, `by_column`, to the columns (AᵀA). The
    matrices are divided by their largest entry (`scales`), so that no scale of weights overflows when squared.
    """

    def __init__(self, matrices: Sequence[EdgeMatrix], scales: np.ndarray, by_column: bool) -> None:
        self._matrices, self._scales, self._by_column = list(matrices), scales, by_column
        columns = np.array([matrix.columns for matrix in matrices])
        offsets = np.cumsum(columns) - columns
        edges = np.array([matrix.edges for matrix in matrices])
        starts = [np.zeros(1, dtype=np.int64)]
        values, ends = np.ones(int(edges.sum())), np.empty(int(edges.sum()), dtype=np.int32)
        at = 0
        for matrix, offset, scale in zip(matrices, offsets, scales, strict=True):
            behind = at + matrix.edges
            starts.append(matrix.starts[1:] - matrix.starts[0] + at)
            np.add(matrix.ends, offset, out=ends[at:behind], casting="unsafe")
            if matrix.values is not None:
                np.divide(matrix.values, scale, out=values[at:behind])
            at = behind
        starts = np.concatenate(starts).astype(np.int32 if at < 2**31 else np.int64)
        forward = sparse.csr_array((values, ends, starts), shape=(len(starts) - 1, int(columns.sum())))
        backward = forward.T.tocsr()
        self._inner, self._outer = (forward, backward) if by_column else (backward, forward)
        self.lengths = columns if by_column else np.array([matrix.rows for matrix in matrices])
        self._starts = np.cumsum(self.lengths) - self.lengths
        self._segment = np.repeat(np.arange(len(matrices)), self.lengths)

    def subset(self, chosen: np.ndarray) -> tuple["BlockDiagonal", np.ndarray]:
        """The operator of the matrices where `chosen` (a boolean for each) holds, and where their entries stood."""
        matrices = [matrix for matrix, keep in zip(self._matrices, chosen, strict=True) if keep]
        return BlockDiagonal(matrices, self._scales[chosen], self._by_column), chosen[self._segment]

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        """The Gram operators applied to each matrix's segment."""
        return self._outer @ (self._inner @ vector)

    def dots(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The inner product of each segment, shape (matrices,)."""
        return np.add.reduceat(one * other, self._starts)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """A value for each matrix, repeated over its segment."""
        return values[self._segment]

    def noise(self, seed: int) -> np.ndarray:
        """Standard normal numbers that depend on the place within a segment alone, not on what else is in the batch."""
        table = np.random.default_rng(seed).standard_normal(int(self.lengths.max()))
        return table[np.arange(len(self._segment)) - self._starts[self._segment]]

    @staticmethod
    def host(values: list[np.ndarray]) -> np.ndarray:
        """What the recurrence collected for each matrix, step by step, as an array of shape (steps, matrices)."""
        return np.stack(values)

    @staticmethod
    def device(values: np.ndarray) -> np.ndarray:
        """Numbers for each matrix, where the vectors are."""
        return values


class Dense:
    """The Gram operator of one dense matrix, as an operator of a single segment; see `BlockDiagonal`."""

    def __init__(self, side: int) -> None:
        self.lengths = np.array([side])

    def subset(self, chosen: np.ndarray) -> tuple["Dense", np.ndarray]:
        """The operator itself: there is one matrix."""
        return self, np.ones(int(self.lengths[0]), dtype=bool)

    def dots(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The inner product, shape (1,)."""
        return np.array([one @ other])

    def spread(self, values: np.ndarray) -> np.ndarray:
        """The one value, which numpy spreads."""
        return values

    def noise(self, seed: int) -> np.ndarray:
        """Standard normal numbers."""
        return np.random.default_rng(seed).standard_normal(int(self.lengths[0]))

    host = staticmethod(BlockDiagonal.host)
    device = staticmethod(BlockDiagonal.device)


class DenseGram(Dense):
    """A Gram matrix that was formed."""

    def __init__(self, gram: np.ndarray) -> None:
        super().__init__(len(gram))
        self._gram = gram

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        """The Gram matrix times a vector."""
        return self._gram @ vector


class Streamed(Dense):
    """The Gram operator of |A| for a dense A too large to multiply out or to copy: its rows are read once a product."""

    def __init__(self, matrix: np.ndarray, scale: float) -> None:
        super().__init__(matrix.shape[1])
        self._matrix, self._scale = matrix, scale

    def multiply(self, vector: np.ndarray) -> np.ndarray:
        """|A|ᵀ(|A|·x) / scale², in float64 whatever the matrix holds."""
        total = np.zeros(len(vector))
        for rows in magnitudes(self._matrix, self._scale):
            total += (rows @ vector) @ rows
        return total


def magnitudes(matrix: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """The rows of |matrix| / scale in float64, as many at a time as fit the cache."""
    step = max(1, STREAMED_ENTRIES // matrix.shape[1])
    for first in range(0, len(matrix), step):
        yield np.abs(matrix[first : first + step], dtype=np.float64) / scale
