"""Allocations by a formula of a layer's shape."""

import math

import numpy as np

from .share import Share


def uniform(share: Share) -> np.ndarray:
    """Return the same density for every layer."""
    return np.ones(len(share.shapes))


def er(share: Share) -> np.ndarray:
    """Return densities proportional to (n_in + n_out) / (n_in n_out): Erdos-Renyi (Mocanu et al., 2018)."""
    return np.array([sum(shape[:2]) / math.prod(shape[:2]) for shape in share.shapes.values()])


def erk(share: Share) -> np.ndarray:
    """Return densities proportional to sum / product of the dimensions: Erdos-Renyi-Kernel (Evci et al., ICML 2020)."""
    return np.array([sum(shape) / math.prod(shape) for shape in share.shapes.values()])
