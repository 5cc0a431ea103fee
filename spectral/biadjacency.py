"""The bipartite graph of a pruned layer."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

# A left degree enters the nested subgraphs when at least this many left nodes share it.
MIN_SHARED = 3


@dataclass(frozen=True, eq=False)
class Biadjacency:
    """The graph of a mask with its isolated nodes dropped: input positions on the left, outputs on the right.

    The edges are held in compressed rows, one row for each left node: those of left node `i` lead to the right nodes
    `ends[starts[i]:starts[i + 1]]`, in increasing order. `magnitudes` holds |weight| for each edge as float64, or is
    None for a graph without weights; a kept weight that happens to be 0 is still an edge.

    `full_left` and `full_right` are the numbers of nodes before any were dropped.
    """

    starts: np.ndarray
    ends: np.ndarray
    magnitudes: np.ndarray | None
    right: int
    full_left: int
    full_right: int

    @classmethod
    def from_mask(cls, mask: np.ndarray, weights: np.ndarray | None = None) -> "Biadjacency":
        """The graph of one layer.

        `mask` is boolean, of shape (out, in, …) with at least two axes, True = kept; the axes after the first are
        unrolled into one. `weights` has the same shape and any real type. Raises ValueError where that does not hold.
        """
        mask = np.asarray(mask)
        if mask.dtype != bool or mask.ndim < 2:
            raise ValueError(
                f"mask must be a boolean array with at least 2 axes, but got {mask.dtype} of shape {mask.shape}."
            )
        if weights is not None and np.shape(weights) != mask.shape:
            raise ValueError(f"weights have shape {np.shape(weights)}, but their mask has {mask.shape}.")
        outputs = mask.shape[0]
        inputs = mask[0].size if outputs else 0
        # Transposed before the scan, so that the edges come out sorted by left node.
        edges = np.flatnonzero(np.ascontiguousarray(mask.reshape(outputs, inputs).T))
        left, right = np.divmod(edges, max(outputs, 1))
        magnitudes = None
        if weights is not None:
            magnitudes = np.abs(np.asarray(weights).reshape(outputs, inputs)[right, left].astype(np.float64))
        degrees = np.bincount(left, minlength=inputs)
        ends, kept_right = _relabelled(right, outputs)
        return cls(_starts(degrees[degrees > 0]), ends, magnitudes, kept_right, inputs, outputs)

    @property
    def left(self) -> int:
        """The number of left nodes that have an edge."""
        return len(self.starts) - 1

    @property
    def edges(self) -> int:
        """The number of edges, which is the number of kept weights."""
        return len(self.ends)

    @property
    def left_degrees(self) -> np.ndarray:
        """The degree of each left node, each at least 1."""
        return np.diff(self.starts)

    @property
    def mean_left_degree(self) -> float:
        """Edges for each left node; nan for an empty graph."""
        return self.edges / self.left if self.left else float("nan")

    @property
    def mean_right_degree(self) -> float:
        """Edges for each right node; nan for an empty graph."""
        return self.edges / self.right if self.right else float("nan")

    def pattern(self) -> sparse.csr_array:
        """M: the 0/1 biadjacency matrix, (left, right), float64."""
        return self._matrix(np.ones(self.edges))

    def weighted(self) -> sparse.csr_array:
        """|W∘M|: the biadjacency matrix of absolute weights, (left, right), float64. Needs `magnitudes`."""
        return self._matrix(self.magnitudes)

    def nested(self) -> Iterator["Biadjacency"]:
        """The nested left-regular subgraphs, by increasing degree (Hoang et al., ICLR 2023 and NeurIPS 2023).

        For each degree that at least three left nodes share: those nodes with all their right neighbours.
        """
        degrees = self.left_degrees
        counts = np.bincount(degrees)
        for degree in np.flatnonzero(counts >= MIN_SHARED):
            if counts[degree] == self.left:
                yield self  # the graph is left-regular: its one subgraph is the graph itself
                return
            nodes = np.flatnonzero(degrees == degree)
            chosen = (self.starts[nodes][:, None] + np.arange(degree)).ravel()
            ends, right = _relabelled(self.ends[chosen], self.right)
            magnitudes = None if self.magnitudes is None else self.magnitudes[chosen]
            starts = np.arange(0, chosen.size + 1, degree)
            yield Biadjacency(starts, ends, magnitudes, right, self.full_left, self.full_right)

    def _matrix(self, values: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array((values, self.ends, self.starts), shape=(self.left, self.right))


def _starts(degrees: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(degrees)])


def _relabelled(ends: np.ndarray, total: int) -> tuple[np.ndarray, int]:
    """The same node numbers counted without gaps, and how many there are."""
    seen = np.zeros(total, dtype=bool)
    seen[ends] = True
    labels = np.cumsum(seen) - 1
    return labels[ends], int(np.count_nonzero(seen))
