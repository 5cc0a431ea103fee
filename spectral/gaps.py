"""Spectral gaps, as pure functions of degrees and singular values. Undefined is nan."""

from collections.abc import Sequence
from math import nan, sqrt

from .variants import PAPER, Variant


def ramanujan_bound(mean_left_degree: float, mean_right_degree: float, variant: Variant = PAPER) -> float:
    """Return √(d_L − 1) + √(d_R − 1) for mean degrees of at least 3, else nan (Hoang et al., ICLR 2023).

    For a d-regular graph this is 2√(d − 1), the Alon-Boppana bound. The `variant` says which mean degrees suffice.
    """
    if not variant.bounded(mean_left_degree, mean_right_degree):
        return nan
    return sqrt(mean_left_degree - 1) + sqrt(mean_right_degree - 1)


def ramanujan_gap(mean_left_degree: float, mean_right_degree: float, sigma2: float, variant: Variant = PAPER) -> float:
    """Return Δr: the Ramanujan bound less σ₂(M), the largest non-trivial |eigenvalue|; nan where the bound is."""
    return ramanujan_bound(mean_left_degree, mean_right_degree, variant) - sigma2


def weighted_gap(left: int, right: int, sigma1: float, sigma2: float) -> float:
    """Return λ: σ₁ − σ₂ of |W∘M| (Hoang et al., NeurIPS 2023); nan with fewer than two nodes on a side."""
    return sigma1 - sigma2 if min(left, right) >= 2 else nan


def normalized(gap: float, bound: float) -> float:
    """Return a gap over its own bound; nan where the bound is 0 or either is nan."""
    return gap / bound if bound != 0 else nan


def iterative_mean(gaps: Sequence[float]) -> float:
    """Return the mean over the nested subgraphs; nan where there are none."""
    return sum(gaps) / len(gaps) if gaps else nan


def narc(left: int, right: int, full_left: int, full_right: int, edges: int, sigma2: float) -> float:
    """Return the normalized random coefficient of a layer (Hoang et al., ICLR 2023), nan where Δr is undefined.

    As in the code that the authors released: ((σ₂²/4 + 1)·√(L·R) − |E − d_L/R₀·L·R|) / (L₀·R₀), with L, R the nodes
    that have an edge, L₀, R₀ all nodes of the layer, E the edges and d_L = E/L the mean left degree.
    """
    if not left or not right or not PAPER.bounded(edges / left, edges / right):
        return nan
    deviation = abs(edges - edges / left / full_right * left * right)
    return ((sigma2**2 / 4 + 1) * sqrt(left * right) - deviation) / (full_left * full_right)
