"""The full-spectrum coordinate of one layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import Generic

import numpy as np

from . import gaps
from .biadjacency import BipartiteGraph, MatrixT_co
from .variants import VARIANTS, Variant

#: The four axes of the coordinate, in order (Hoang, Kundu, Liu and Wang, NeurIPS 2023).
FIELDS = ("ramanujan_gap", "imdb", "weighted_gap", "imsg")


@dataclass(frozen=True)
class LayerCoordinate:
    """The spectrum of one masked layer; undefined values are nan.

    `ramanujan_gap` (Δr) is defined for mean degrees of at least 3 on both sides, `imdb` and `imsg` (the iterative
    means of Δr and λ) where at least one nested subgraph has such degrees, `weighted_gap` (λ) with two nodes or more on
    each side; the authors' variant asks for other degrees (`variants`). The `normalized_` forms are each gap over its
    own bound: √(d_L − 1) + √(d_R − 1), or σ₁ for the weighted. `narc` is the normalized random coefficient (ICLR 2023).
    `sigma1`, `sigma2` are of the mask, `weighted_sigma1`, `weighted_sigma2` of the absolute kept weights. `subgraphs`
    is the number of nested subgraphs in the means, `sparsity` the fraction of weights removed, in [0, 1], `weights` the
    size of the layer. Of a fully masked layer (`sparsity` 1) all other fields are nan; without weights the weighted
    ones are.
    """

    ramanujan_gap: float
    imdb: float
    weighted_gap: float
    imsg: float
    normalized_ramanujan_gap: float
    normalized_imdb: float
    normalized_weighted_gap: float
    normalized_imsg: float
    narc: float
    sigma1: float
    sigma2: float
    weighted_sigma1: float
    weighted_sigma2: float
    subgraphs: int
    sparsity: float
    weights: int

    @property
    def vector(self) -> np.ndarray:
        """The coordinate as float64 of shape (4,), in the order of `FIELDS`."""
        return np.array([getattr(self, field) for field in FIELDS])

    @property
    def defined(self) -> bool:
        """Whether all four components are defined."""
        return bool(np.isfinite(self.vector).all())

    def to_dict(self) -> dict[str, float | int | None]:
        """Return all fields, None where undefined: ready for JSON."""
        return {field: value if isfinite(value) else None for field, value in vars(self).items()}


@dataclass(frozen=True)
class ScoredLayer:
    """What is computed of one masked layer."""

    coordinates: Mapping[str, LayerCoordinate]
    """The coordinate by the name of the variant."""
    kept_magnitude: float
    """Sum of the absolute kept weights; nan without weights."""


@dataclass(frozen=True)
class _Gaps:
    """The gaps of one graph, each with the bound that it is normalized by."""

    gap: float
    bound: float
    weighted_gap: float
    weighted_sigma1: float


class LayerSpectrum(Generic[MatrixT_co]):
    """The graphs of one layer, the whole and its nested subgraphs, whose singular values make its coordinate."""

    def __init__(self, graph: BipartiteGraph[MatrixT_co], size: int, weighted: bool) -> None:
        """Take the `graph` of a layer with `size` weights; `weighted` says whether the graph holds any of them."""
        self._size, self._weighted = size, weighted
        nested = {
            subgraph: [name for name, variant in VARIANTS.items() if _counts(subgraph, variant)]
            for subgraph in graph.nested()
        }
        nested = {subgraph: variants for subgraph, variants in nested.items() if variants}
        self._graphs = [graph, *(subgraph for subgraph in nested if subgraph is not graph)]
        self._nested = {
            name: [number for number, member in enumerate(self._graphs) if name in nested.get(member, ())]
            for name in VARIANTS
        }

    @property
    def edges(self) -> int:
        """The number of kept weights."""
        return self._graphs[0].edges

    def matrices(self) -> list[MatrixT_co]:
        """Return the matrices whose singular values `scored` needs: each graph's M and, with weights, |W∘M|."""
        return [
            matrix for graph in self._graphs for matrix in ([graph.pattern()] + [graph.weighted()] * self._weighted)
        ]

    def scored(self, sigmas: np.ndarray) -> ScoredLayer:
        """Return what is computed of the layer, from the two largest singular values of `matrices()`, (matrices, 2)."""
        each = np.full((len(self._graphs), 4), nan)
        each[:, : 2 + 2 * self._weighted] = np.reshape(sigmas, (len(self._graphs), -1))
        if not self.edges:
            each[:] = nan
        rows = each.tolist()
        return ScoredLayer(
            {name: self._coordinate(variant, self._nested[name], rows) for name, variant in VARIANTS.items()},
            self._graphs[0].magnitude() if self._weighted else nan,
        )

    def _coordinate(self, variant: Variant, numbers: list[int], rows: list[list[float]]) -> LayerCoordinate:
        """Return the coordinate in a variant: `numbers` are those of its nested subgraphs, `rows` all graphs' σ."""
        graph = self._graphs[0]
        whole = _gaps(graph, variant, *rows[0])
        nested = [_gaps(self._graphs[number], variant, *rows[number]) for number in numbers]
        factors = [variant.factor(self._graphs[number].left, self._graphs[number].right) for number in numbers]

        def mean(values: list[float]) -> float:
            return gaps.iterative_mean([factor * value for factor, value in zip(factors, values, strict=True)])

        sigma1, sigma2, heaviest, second = rows[0]
        return LayerCoordinate(
            ramanujan_gap=whole.gap,
            imdb=mean([one.gap for one in nested]),
            weighted_gap=whole.weighted_gap,
            imsg=mean([one.weighted_gap for one in nested]),
            normalized_ramanujan_gap=gaps.normalized(whole.gap, whole.bound),
            normalized_imdb=mean([gaps.normalized(one.gap, one.bound) for one in nested]),
            normalized_weighted_gap=gaps.normalized(whole.weighted_gap, whole.weighted_sigma1),
            normalized_imsg=mean([gaps.normalized(one.weighted_gap, one.weighted_sigma1) for one in nested]),
            narc=gaps.narc(graph.left, graph.right, graph.full_left, graph.full_right, graph.edges, sigma2),
            sigma1=sigma1,
            sigma2=sigma2,
            weighted_sigma1=heaviest,
            weighted_sigma2=second,
            subgraphs=len(nested),
            sparsity=1 - graph.edges / self._size,
            weights=self._size,
        )


def _counts(subgraph: BipartiteGraph[object], variant: Variant) -> bool:
    """Return whether a nested subgraph is in the means of a variant."""
    degrees = subgraph.mean_left_degree, subgraph.mean_right_degree
    return subgraph.left >= variant.min_shared and bool(variant.bounded(*degrees))


def _gaps(
    graph: BipartiteGraph[object], variant: Variant, sigma1: float, sigma2: float, heaviest: float, second: float
) -> _Gaps:
    degrees = graph.mean_left_degree, graph.mean_right_degree
    weighted = gaps.weighted_gap(graph.left, graph.right, heaviest, second) if variant.weighs(*degrees) else nan
    bound = gaps.ramanujan_bound(*degrees, variant)
    return _Gaps(gaps.ramanujan_gap(*degrees, sigma2, variant), bound, weighted, heaviest)
