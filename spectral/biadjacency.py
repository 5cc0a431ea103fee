"""The bipartite graph of a pruned layer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from scipy import sparse

from .arrays import magnitude
from .matrix import EdgeMatrix
from .variants import VARIANTS

#: A left degree makes a nested subgraph when at least this many left nodes share it; some variant counts it.
MIN_SHARED = min(variant.min_shared for variant in VARIANTS.values())

#: The type of a graph's matrices, which lie where its edges do.
MatrixT_co = TypeVar("MatrixT_co", covariant=True)


@dataclass(frozen=True, eq=False)
class BipartiteGraph(ABC, Generic[MatrixT_co]):
    """The graph of a mask, without its isolated nodes: inputs on the left, outputs on the right.

    `left` and `right` are the numbers of nodes that have an edge, `edges` that of the kept weights; `full_left` and
    `full_right` are the numbers of nodes before any were dropped.
    """

    left: int
    right: int
    edges: int
    full_left: int
    full_right: int

    @property
    def mean_left_degree(self) -> float:
        """Edges for each left node; nan for an empty graph."""
        return self.edges / self.left if self.left else float("nan")

    @property
    def mean_right_degree(self) -> float:
        """Edges for each right node; nan for an empty graph."""
        return self.edges / self.right if self.right else float("nan")

    @abstractmethod
    def pattern(self) -> MatrixT_co:
        """Return M, the 0/1 biadjacency matrix, (left, right)."""

    @abstractmethod
    def weighted(self) -> MatrixT_co:
        """Return |W∘M|, the biadjacency matrix of absolute weights, (left, right), of a graph that has weights."""

    @abstractmethod
    def nested(self) -> Sequence["BipartiteGraph[MatrixT_co]"]:
        """Return the nested left-regular subgraphs, by increasing degree (Hoang et al., ICLR 2023 and NeurIPS 2023).

        For each degree that at least `MIN_SHARED` left nodes share: those nodes with all their right neighbours.
        """

    @abstractmethod
    def magnitude(self) -> float:
        """Return the sum of absolute weights, of a graph that has weights."""


@dataclass(frozen=True, eq=False)
class Biadjacency(BipartiteGraph[EdgeMatrix]):
    """A graph by its edges, in compressed rows, one row for each left node.

    Those of left node `i` lead to the right nodes `ends[starts[i]:starts[i + 1]]`, in increasing order. `magnitudes`
    holds |weight| for each edge as float64, or is None for a graph without weights; a kept weight that happens to be 0
    is still an edge. `groups` is the number of blocks that a grouped convolution's graph falls into.
    """

    starts: np.ndarray
    ends: np.ndarray
    magnitudes: np.ndarray | None
    groups: int = 1

    @classmethod
    def of_rows(
        cls,
        starts: np.ndarray,
        ends: np.ndarray,
        magnitudes: np.ndarray | None,
        right: int,
        sides: tuple[int, int],
        groups: int,
    ) -> "Biadjacency":
        """Return the graph of these rows with `right` right nodes; `sides` are those before any were dropped."""
        return cls(len(starts) - 1, right, len(ends), *sides, starts, ends, magnitudes, groups)

    @property
    def left_degrees(self) -> np.ndarray:
        """The degree of each left node, each at least 1."""
        return np.diff(self.starts)

    def pattern(self) -> EdgeMatrix:
        """Return M by its edges."""
        return EdgeMatrix(self.starts, self.ends, None, self.right, self.groups)

    def weighted(self) -> EdgeMatrix:
        """Return |W∘M| by its edges. Needs `magnitudes`."""
        return EdgeMatrix(self.starts, self.ends, self.magnitudes, self.right, self.groups)

    def magnitude(self) -> float:
        """Return the sum of absolute weights. Needs `magnitudes`."""
        assert self.magnitudes is not None
        return float(self.magnitudes.sum())

    def nested(self) -> Sequence["Biadjacency"]:
        """Return the nested left-regular subgraphs; the graph itself where it is left-regular."""
        degrees = self.left_degrees
        counts = np.bincount(degrees)
        shared = np.flatnonzero(counts >= MIN_SHARED)
        if shared.size == 1 and counts[shared[0]] == self.left:
            return [self]
        # All subgraphs at once: the left nodes sorted by degree, so that each subgraph is a slice of rows.
        nodes = np.flatnonzero(counts[degrees] >= MIN_SHARED)
        nodes = nodes[np.argsort(degrees[nodes], kind="stable")]
        starts = _starts(degrees[nodes])
        chosen = np.repeat(self.starts[nodes] - starts[:-1], degrees[nodes]) + np.arange(starts[-1])
        subgraph = np.repeat(np.arange(shared.size), counts[shared] * shared)
        seats = subgraph * self.right + self.ends[chosen]
        seen = np.zeros((shared.size, self.right), dtype=bool)
        seen.ravel()[seats] = True
        ends = (np.cumsum(seen, axis=1, dtype=np.int32) - 1).ravel()[seats]
        magnitudes = None if self.magnitudes is None else self.magnitudes[chosen]
        graphs, rows = [], _starts(counts[shared])
        for first, last, right in zip(rows, rows[1:], np.count_nonzero(seen, axis=1), strict=False):
            edges = slice(starts[first], starts[last])
            graphs.append(
                Biadjacency.of_rows(
                    starts[first : last + 1] - starts[first],
                    ends[edges],
                    None if magnitudes is None else magnitudes[edges],
                    int(right),
                    (self.full_left, self.full_right),
                    self.groups,
                )
            )
        return graphs


@dataclass(frozen=True, eq=False)
class CompleteGraph(BipartiteGraph[np.ndarray]):
    """A graph with every edge between its nodes, as of an unpruned layer or one without some of its channels.

    It needs no list of edges. `weights` has the shape (right, left) or (left, right), any real type, or is None; on a
    GPU it is a tensor.
    """

    weights: Any

    @classmethod
    def of_nodes(cls, left: int, right: int, sides: tuple[int, int], weights: Any) -> "CompleteGraph":
        """Return the graph of these many nodes; `sides` are those before any were dropped."""
        return cls(left, right, left * right, *sides, weights)

    def pattern(self) -> np.ndarray:
        """Return M: all ones, (left, right), without memory of its own."""
        return np.broadcast_to(1.0, (self.left, self.right))

    def weighted(self) -> Any:
        """Return W, whose absolute values are the biadjacency matrix or its transpose."""
        return self.weights

    def magnitude(self) -> float:
        """Return the sum of absolute weights. Needs `weights`."""
        return magnitude(self.weights)

    def nested(self) -> Sequence["CompleteGraph"]:
        """Return the graph itself, as it is left-regular, where it has enough nodes to share a degree."""
        return [self] if self.left >= MIN_SHARED else []


def bipartite_graph(
    mask: np.ndarray, weights: np.ndarray | None = None, groups: int = 1, inputs_first: bool = False
) -> Biadjacency | CompleteGraph:
    """Return the graph of one layer.

    `mask` is boolean, of shape (out, in, …) with at least two axes, True = kept; the axes after the first are unrolled
    into one, so that a convolution's left nodes are its in·kh·kw input positions. `weights` has the same shape and any
    real type.
    With `groups` > 1 the mask is that of a grouped convolution, (out, in/groups, …): the outputs fall into that many
    equal parts, each with input positions of its own, and the graph into as many blocks.
    With `inputs_first` the first axis is the input's, as of an embedding (num, dim) or a transposed convolution
    (in, out/groups, …), whose right nodes are its output positions.
    Raises ValueError where that does not hold.
    """
    mask = np.asarray(mask)
    _check(mask, weights, groups)
    rows, columns = len(mask), mask[0].size if len(mask) else 0
    sides = (rows, groups * columns) if inputs_first else (groups * columns, rows)
    if groups == 1 and mask.size and mask.all():
        return CompleteGraph.of_nodes(*sides, sides, None if weights is None else np.reshape(weights, (rows, columns)))
    # The kept weights row by row, as they lie in memory.
    kept = np.flatnonzero(mask).astype(np.int32 if groups * mask.size < 2**31 else np.int64)
    degrees = np.diff(np.searchsorted(kept, np.arange(rows + 1) * columns))
    # How much further along a row's positions lie than its columns do.
    shifts = (np.arange(rows) // max(1, rows // groups) - np.arange(rows)) * columns
    column = kept + np.repeat(shifts.astype(kept.dtype), degrees)
    values = None if weights is None else np.ravel(weights)[kept]
    column, connected = _relabelled(column, groups * columns)
    starts = _starts(degrees[degrees > 0])
    nodes = (len(starts) - 1, connected)
    if kept.size and kept.size == nodes[0] * nodes[1]:
        left, right = nodes if inputs_first else nodes[::-1]
        return CompleteGraph.of_nodes(left, right, sides, None if values is None else values.reshape(nodes))
    magnitudes = None if values is None else np.abs(values, dtype=np.float64)
    if inputs_first:
        return Biadjacency.of_rows(starts, column, magnitudes, connected, sides, groups)
    entries = np.ones(kept.size, dtype=np.int8) if magnitudes is None else magnitudes
    by_left = sparse.csc_array((entries, column, starts), shape=nodes[::-1]).tocsr()
    magnitudes = None if magnitudes is None else by_left.data
    return Biadjacency.of_rows(by_left.indptr, by_left.indices, magnitudes, nodes[0], sides, groups)


def _check(mask: np.ndarray, weights: np.ndarray | None, groups: int) -> None:
    if mask.dtype != bool or mask.ndim < 2:
        raise ValueError(
            f"mask must be a boolean array with at least 2 axes, but got {mask.dtype} of shape {mask.shape}"
        )
    if weights is not None and np.shape(weights) != mask.shape:
        raise ValueError(f"weights have shape {np.shape(weights)}, but their mask has {mask.shape}")
    if groups < 1 or len(mask) % groups:
        raise ValueError(f"groups must divide the first axis of the mask, {len(mask)}, but are {groups}")


def _starts(degrees: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(degrees)])


def _relabelled(nodes: np.ndarray, total: int) -> tuple[np.ndarray, int]:
    """Return node numbers below `total` counted without those that do not occur, and how many occur."""
    seen = np.zeros(total, dtype=bool)
    seen[nodes] = True
    labels = np.cumsum(seen, dtype=np.int32) - 1
    return labels[nodes], int(np.count_nonzero(seen))
