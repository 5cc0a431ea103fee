"""The full-spectrum coordinate of one layer."""

from dataclasses import asdict, dataclass
from math import isfinite, nan

import numpy as np

from . import gaps
from .biadjacency import Biadjacency
from .singular import two_largest

# The four axes of the coordinate, in order (Hoang, Kundu, Liu and Wang, NeurIPS 2023).
FIELDS = ("ramanujan_gap", "imdb", "weighted_gap", "imsg")


@dataclass(frozen=True)
class LayerCoordinate:
    """The spectrum of one masked layer; what is undefined is nan.

    `ramanujan_gap` (Δr) is defined for mean degrees of at least 3 on both sides, `imdb` and `imsg` (the iterative
    means of Δr and λ) where at least one nested subgraph has such degrees, `weighted_gap` (λ) with two nodes or more on
    each side. The `normalized_` forms are each gap over its own bound: √(d_L − 1) + √(d_R − 1), or σ₁ for the weighted.
    `narc` is the normalized random coefficient (ICLR 2023). `sigma1`, `sigma2` are of the mask, `weighted_sigma1`,
    `weighted_sigma2` of the absolute kept weights. `subgraphs` is the number of nested subgraphs in the means,
    `sparsity` the fraction of weights removed, in [0, 1] (1: the layer is fully masked, and all else nan), `weights`
    the size of the layer. Without weights the weighted fields are nan.
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
        """Whether all four components are."""
        return bool(np.isfinite(self.vector).all())

    def to_dict(self) -> dict[str, float | int | None]:
        """All fields, None where undefined: ready for JSON."""
        return {field: value if isfinite(value) else None for field, value in asdict(self).items()}


@dataclass(frozen=True)
class _Spectrum:
    """The gaps of one graph, each with the bound that it is normalized by."""

    gap: float
    bound: float
    sigma1: float
    sigma2: float
    weighted_gap: float
    weighted_sigma1: float
    weighted_sigma2: float


def layer_coordinate(mask: np.ndarray, weights: np.ndarray | None = None) -> LayerCoordinate:
    """The coordinate of one layer.

    `mask` is boolean, of shape (out, in, …) and not empty, True = kept; `weights` has the same shape, finite. Raises
    ValueError where `Biadjacency.from_mask` does.
    """
    graph = Biadjacency.from_mask(mask, weights)
    whole = _spectrum(graph)
    nested = [
        whole if subgraph is graph else _spectrum(subgraph)
        for subgraph in graph.nested()
        if min(subgraph.mean_left_degree, subgraph.mean_right_degree) >= gaps.MIN_DEGREE
    ]
    return LayerCoordinate(
        ramanujan_gap=whole.gap,
        imdb=gaps.iterative_mean([each.gap for each in nested]),
        weighted_gap=whole.weighted_gap,
        imsg=gaps.iterative_mean([each.weighted_gap for each in nested]),
        normalized_ramanujan_gap=gaps.normalized(whole.gap, whole.bound),
        normalized_imdb=gaps.iterative_mean([gaps.normalized(each.gap, each.bound) for each in nested]),
        normalized_weighted_gap=gaps.normalized(whole.weighted_gap, whole.weighted_sigma1),
        normalized_imsg=gaps.iterative_mean(
            [gaps.normalized(each.weighted_gap, each.weighted_sigma1) for each in nested]
        ),
        narc=gaps.narc(graph.left, graph.right, graph.full_left, graph.full_right, graph.edges, whole.sigma2),
        sigma1=whole.sigma1,
        sigma2=whole.sigma2,
        weighted_sigma1=whole.weighted_sigma1,
        weighted_sigma2=whole.weighted_sigma2,
        subgraphs=len(nested),
        sparsity=1 - graph.edges / mask.size,
        weights=mask.size,
    )


def _spectrum(graph: Biadjacency) -> _Spectrum:
    sigma1, sigma2 = two_largest(graph.pattern()) if graph.edges else (nan, nan)
    heaviest, second = two_largest(graph.weighted()) if graph.edges and graph.magnitudes is not None else (nan, nan)
    bound = gaps.ramanujan_bound(graph.mean_left_degree, graph.mean_right_degree)
    weighted_gap = gaps.weighted_gap(graph.left, graph.right, heaviest, second)
    gap = gaps.ramanujan_gap(graph.mean_left_degree, graph.mean_right_degree, sigma2)
    return _Spectrum(gap, bound, sigma1, sigma2, weighted_gap, heaviest, second)
