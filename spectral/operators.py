"""Gram operators that the Lanczos recurrence runs on: many sparse matrices at once, or one dense matrix.

Their vectors have the shape (matrices, width), a row for each matrix; numbers for each matrix are a column of shape
(matrices, 1).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from scipy import sparse

from .matrix import EdgeMatrix

#: Entries of a dense matrix that are multiplied at a time: few enough to stay in the cache when read twice.
STREAMED_ENTRIES = 2**17

#: Widths are multiples of this many numbers: a sum over a row is then the same to the bit for all widths of others.
ALIGNED = 64

#: Vectors: arrays of numpy, or tensors of torch, which have the arithmetic in common that the recurrence needs.
Vectors = TypeVar("Vectors", bound=Any)


class GramOperator(ABC, Generic[Vectors]):
    """Symmetric positive semidefinite operators of matrices with entries >= 0, side by side, in float64.

    `sides` is the length of each matrix's vector, shape (matrices,); `width` that of all vectors, as long as the
    longest or a little longer.
    """

    sides: np.ndarray
    width: int

    @abstractmethod
    def multiply(self, vectors: Vectors) -> Vectors:
        """Return each operator applied to its row."""

    def subset(self, chosen: np.ndarray) -> "GramOperator[Vectors]":
        """Return the operators where `chosen` (a boolean for each) holds, with vectors of the same width."""
        return self

    @abstractmethod
    def noise(self, seed: int) -> Vectors:
        """Return standard normal numbers, the same for every matrix, with zeros behind the shorter ones."""

    @abstractmethod
    def dots(self, one: Vectors, other: Vectors) -> Vectors:
        """Return the inner product of each row."""

    @abstractmethod
    def host(self, numbers: list[Vectors]) -> np.ndarray:
        """Return numbers that were collected step by step as an array of shape (steps, matrices)."""

    @abstractmethod
    def device(self, numbers: np.ndarray) -> Vectors:
        """Return numbers of shape (matrices,) as a column, where the vectors are."""


class HostOperator(GramOperator[np.ndarray]):
    """Operators whose vectors are arrays of numpy."""

    def noise(self, seed: int) -> np.ndarray:
        """Return the same numbers for every matrix, shape (matrices, width)."""
        table = np.random.default_rng(seed).standard_normal(self.width)
        return table * (np.arange(self.width) < self.sides[:, None])

    def dots(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the inner product of each row."""
        products: np.ndarray = np.vecdot(one, other)
        return products[:, None]

    def host(self, numbers: list[np.ndarray]) -> np.ndarray:
        """Return the columns side by side, transposed."""
        return np.concatenate(numbers, axis=1).T

    def device(self, numbers: np.ndarray) -> np.ndarray:
        """Return the numbers as a column."""
        return numbers[:, None]


class BlockDiagonal(HostOperator):
    """A·Aᵀ of many sparse matrices as one matrix, so that a product costs one call; `by_column`, AᵀA.

    The matrices are divided by their largest entry (`scales`), so that no scale of weights overflows when squared.
    """

    def __init__(
        self, matrices: Sequence[EdgeMatrix], scales: np.ndarray, by_column: bool, width: int | None = None
    ) -> None:
        self._matrices, self._scales, self._by_column = list(matrices), scales, by_column
        self.sides = np.array([matrix.columns if by_column else matrix.rows for matrix in matrices])
        self.width = width or -(-int(self.sides.max()) // ALIGNED) * ALIGNED
        # The side of the vectors is padded to the width.
        rows = np.array([matrix.rows if by_column else self.width for matrix in matrices])
        columns = np.array([self.width if by_column else matrix.columns for matrix in matrices])
        edges = sum(matrix.edges for matrix in matrices)
        starts = np.zeros(int(rows.sum()) + 1, dtype=np.int32 if edges < 2**31 else np.int64)
        values, ends = np.ones(edges), np.empty(edges, dtype=np.int32)
        at = 0
        for matrix, scale, row, column in zip(
            matrices, scales, np.cumsum(rows) - rows, np.cumsum(columns) - columns, strict=True
        ):
            behind = at + matrix.edges
            starts[row + 1 : row + 1 + matrix.rows] = matrix.starts[1:] + at
            starts[row + 1 + matrix.rows : row + 1 + (0 if by_column else self.width)] = behind
            np.add(matrix.ends, column, out=ends[at:behind], casting="unsafe")
            if matrix.values is not None:
                np.divide(matrix.values, scale, out=values[at:behind])
            at = behind
        forward = sparse.csr_array((values, ends, starts), shape=(int(rows.sum()), int(columns.sum())))
        backward = forward.T.tocsr()
        self._inner, self._outer = (forward, backward) if by_column else (backward, forward)

    def subset(self, chosen: np.ndarray) -> "BlockDiagonal":
        """Return the operators where `chosen` holds, as a smaller matrix."""
        matrices = [matrix for matrix, keep in zip(self._matrices, chosen, strict=True) if keep]
        return BlockDiagonal(matrices, self._scales[chosen], self._by_column, self.width)

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        """Return each operator applied to its row: two sparse products."""
        products: np.ndarray = self._outer @ (self._inner @ vectors.ravel())
        return products.reshape(vectors.shape)


class DenseGram(HostOperator):
    """A Gram matrix that was formed."""

    def __init__(self, gram: np.ndarray) -> None:
        self._gram, self.width = gram, len(gram)
        self.sides = np.array([self.width])

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        """Return the Gram matrix times the vector."""
        product: np.ndarray = self._gram @ vectors[0]
        return product[None]


class Streamed(HostOperator):
    """AᵀA of |A| for a dense A too large to multiply out or to copy: its rows are read once a product."""

    def __init__(self, matrix: np.ndarray, scale: float) -> None:
        self._matrix, self._scale, self.width = matrix, scale, matrix.shape[1]
        self.sides = np.array([self.width])

    def multiply(self, vectors: np.ndarray) -> np.ndarray:
        """Return |A|ᵀ(|A|·x) / scale², in float64 for a matrix of any type."""
        total = np.zeros(self.width)
        for rows in magnitudes(self._matrix, self._scale):
            total += (rows @ vectors[0]) @ rows
        return total[None]


def magnitudes(matrix: np.ndarray, scale: float) -> Iterator[np.ndarray]:
    """Yield the rows of |matrix| / scale in float64, as many at a time as fit the cache."""
    step = max(1, STREAMED_ENTRIES // matrix.shape[1])
    for first in range(0, len(matrix), step):
        yield np.abs(matrix[first : first + step], dtype=np.float64) / scale
