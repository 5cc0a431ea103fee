"""Bipartite graphs of pruned layers, their singular values, and the full-spectrum coordinate built on them."""

from .coordinate import Coordinate, full_spectrum

__all__ = ["Coordinate", "full_spectrum"]
