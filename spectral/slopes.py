"""Slopes: how an edge at any position of a layer would change the layer's term of an objective, to first order."""

import numpy as np
from scipy import sparse

from .variants import MIN_DEGREE, PAPER, Variant

#: Singular vectors that are followed in each graph. The second value of a random graph has neighbours close by, and
#: more so once it was lowered: swaps that lower it alone raise the next.
FOLLOWED = 6

#: Relative distance over which neighbours of the second value share its weight.
CLUSTER = 0.02

#: Subspace iterations: at first, and after each move, which changes few edges.
FIRST_ITERATIONS, ITERATIONS = 12, 3

#: Singular values below this fraction of the first are 0 but for rounding, and have no vectors.
ZERO = 1e-9


class Slopes:
    """The slope of a layer's term in each position of its mask, kept up to date while edges are swapped.

    An edge from left node i to right node j changes a singular value σ of M, with vectors u and v, by u_i·v_j, and one
    of |W∘M| by |w_ij|·u_i·v_j. Δr and λ follow with σ₁ and σ₂ of the whole graph. Δr_imdb and λ_imsg follow with those
    of the nested subgraphs; as swaps keep left degrees, these keep their left nodes, and each left node is in one of
    them at most. Where σ₂ has close neighbours, they share its part. Changes in the number of right nodes that have an
    edge are not of first order and are left out.
    """

    def __init__(
        self,
        mask: np.ndarray,
        weights: np.ndarray,
        groups: int = 1,
        inputs_first: bool = False,
        variant: Variant = PAPER,
    ) -> None:
        """Take mask and weights as in `bipartite_graph`; of the mask only the degrees count here."""
        self._variant = variant
        self._width, self._height, self._inputs_first = mask[0].size, len(mask) // groups, inputs_first
        rows, positions = len(mask), int(groups * self._width)
        self._left, self._right = (rows, positions) if inputs_first else (positions, rows)
        self._magnitudes = np.abs(np.ravel(weights), dtype=np.float64)
        degrees = np.bincount(self._nodes(np.flatnonzero(mask))[0], minlength=self._left)
        shared = np.bincount(degrees) >= variant.min_shared
        shared[:MIN_DEGREE] = False
        # Which nested subgraph each left node is in, counted from 1; 0 for none, and the number of the whole graph.
        self._member = (np.cumsum(shared) * shared)[degrees]
        self._graphs = 1 + int(np.count_nonzero(shared))
        start = np.random.default_rng(0).standard_normal(
            (self._graphs, self._right, min(FOLLOWED, self._left, self._right))
        )
        self._vectors = {"pattern": start, "weighted": start}
        self._scaled: dict[str, np.ndarray] = {}
        self._iterations = FIRST_ITERATIONS

    def follow(self, kept: np.ndarray, gradient: np.ndarray) -> None:
        """Take up the edges at the flat positions `kept`, and the term's gradient in the coordinate, shape (4,)."""
        left, right = self._nodes(kept)
        nested = self._member[left] > 0
        # All graphs as one block-diagonal matrix: the whole one, and a second copy of the left nodes for the nested.
        rows = np.concatenate([left, left[nested] + self._left])
        columns = np.concatenate([right, right[nested] + self._right * self._member[left[nested]]])
        shape = (2 * self._left, self._graphs * self._right)
        seen = np.zeros((self._graphs, self._right), dtype=bool)
        seen.reshape(-1)[columns] = True
        factors = self._factors(np.bincount(self._member[left], minlength=self._graphs), seen.sum(axis=1))
        magnitudes = self._magnitudes[kept]
        entries = {"pattern": np.ones(len(rows)), "weighted": np.concatenate([magnitudes, magnitudes[nested]])}
        for number, (kind, values) in enumerate(entries.items()):
            # Δr and Δr_imdb, or λ and λ_imsg, in the order of FIELDS.
            whole, mean = gradient[2 * number : 2 * number + 2]
            parts = mean * factors / max(1, np.count_nonzero(factors))
            parts[0] = whole
            self._scale(kind, sparse.csr_array((values, (rows, columns)), shape=shape), parts)
        self._iterations = ITERATIONS

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        """Return the slope at flat positions of the mask, whether there is an edge or not."""
        left, right = self._nodes(cells)
        member = self._member[left]
        slopes: dict[str, np.ndarray] = {
            kind: np.vecdot(ours[0, left], self._vectors[kind][0, right])
            + np.vecdot(ours[1, left], self._vectors[kind][member, right])
            for kind, ours in self._scaled.items()
        }
        return np.asarray(slopes["pattern"] + self._magnitudes[cells] * slopes["weighted"])

    def _factors(self, edges: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return what the gaps of each graph are multiplied by in the iterative means; 0 where it is in none."""
        lefts = np.bincount(self._member, minlength=self._graphs)
        factors = [
            self._variant.factor(*sides) if self._variant.bounded(MIN_DEGREE, count / max(1, sides[1])) else 0.0
            for *sides, count in zip(lefts.tolist(), right.tolist(), edges.tolist(), strict=True)
        ]
        # The whole graph is the first, and no nested one.
        return np.array([0.0, *factors[1:]])

    def _nodes(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the left and right nodes of flat positions."""
        row, column = np.divmod(cells, self._width)
        column += row // self._height * self._width
        return (row, column) if self._inputs_first else (column, row)

    def _scale(self, kind: str, matrix: sparse.csr_array, parts: np.ndarray) -> None:
        """Follow the vectors of all graphs of `matrix`, the left ones times the weight of their value in the term."""
        right = self._vectors[kind]
        backward, count = matrix.T.tocsr(), right.shape[2]
        for _ in range(self._iterations):
            right = np.linalg.qr(right)[0]
            product = (backward @ (matrix @ right.reshape(-1, count))).reshape(right.shape)
            right, before = product, right
        squares, ritz = np.linalg.eigh(before.transpose(0, 2, 1) @ product)
        right = (before @ ritz)[:, :, ::-1]
        sigmas = np.sqrt(np.maximum(squares[:, ::-1], 0.0))
        parts = parts[:, None] * _shares(sigmas, kind == "weighted")
        alive = sigmas > ZERO * sigmas[:, :1]
        parts = np.where(alive, parts / np.where(alive, sigmas, 1.0), 0.0)
        left = (matrix @ right.reshape(-1, count)).reshape(2, self._left, count)
        self._scaled[kind] = left * np.stack([np.broadcast_to(parts[0], left[0].shape), parts[self._member]])
        self._vectors[kind] = right


def _shares(sigmas: np.ndarray, first_counts: bool) -> np.ndarray:
    """Return by how much a gap grows with each singular value, (graphs, values): minus σ₂, and plus σ₁ if it counts."""
    shares = np.zeros_like(sigmas)
    shares[:, 0] = first_counts
    if sigmas.shape[1] > 1:
        second = np.where(sigmas[:, 1:2] > 0, sigmas[:, 1:2], 1.0)
        near = np.exp((sigmas[:, 1:] / second - 1) / CLUSTER)
        shares[:, 1:] = -near / near.sum(axis=1, keepdims=True)
    return shares
