"""A sparse matrix of edges in compressed rows."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class EdgeMatrix:
    """A matrix of shape (rows, columns) whose row `i` has the columns `ends[starts[i]:starts[i + 1]]`, increasing.

    `values` are the entries as float64, or None for a matrix of ones: a 0/1 pattern needs no memory of its own.
    `blocks` is the number of diagonal blocks that it is known to consist of.
    """

    starts: np.ndarray
    ends: np.ndarray
    values: np.ndarray | None
    columns: int
    blocks: int = 1

    @classmethod
    def from_sparse(cls, matrix: sparse.sparray | sparse.spmatrix) -> "EdgeMatrix":
        """Return the same matrix; duplicate entries are summed."""
        rows = sparse.csr_array(matrix, dtype=np.float64)
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        return cls(rows.indptr, rows.indices, rows.data, rows.shape[1])

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return self.rows, self.columns

    @property
    def edges(self) -> int:
        """The number of stored entries; a kept weight of 0 is one."""
        return len(self.ends)

    def tocsr(self) -> sparse.csr_array:
        """Return the same matrix as scipy's."""
        values = np.ones(self.edges) if self.values is None else self.values
        return sparse.csr_array((values, self.ends, self.starts), shape=self.shape)

    def toarray(self) -> np.ndarray:
        """Return the dense matrix, float64."""
        return np.asarray(self.tocsr().toarray())

    def components(self) -> list["EdgeMatrix"]:
        """Return the connected components as matrices of their own; isolated rows and columns are left out."""
        matrix = self.tocsr()
        # As a graph: rows first, columns behind them. A stored 0 is an edge.
        graph = sparse.block_array([[None, matrix], [sparse.csr_array((self.columns, self.rows)), None]], format="csr")
        count, labels = sparse.csgraph.connected_components(graph, directed=False)
        of_row, of_column = labels[: self.rows], labels[self.rows :]
        if count == 1:
            return [replace(self, blocks=1)]
        by_row, by_column = np.argsort(of_row, kind="stable"), np.argsort(of_column, kind="stable")
        row_starts = np.searchsorted(of_row[by_row], np.arange(count + 1))
        column_starts = np.searchsorted(of_column[by_column], np.arange(count + 1))
        # Sorted by component the matrix is block-diagonal: a block's columns are those less where they start.
        matrix = matrix[by_row][:, by_column]
        parts = []
        for first_row, last_row, first_column, last_column in zip(
            row_starts, row_starts[1:], column_starts, column_starts[1:], strict=False
        ):
            if first_row == last_row or first_column == last_column:
                continue
            block = matrix[first_row:last_row]
            parts.append(EdgeMatrix(block.indptr, block.indices - first_column, block.data, last_column - first_column))
        return parts
