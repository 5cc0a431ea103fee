"""A prunable layer and its mask, the input of every evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Layer:
    """A prunable layer as the coordinate sees it.

    `shape` is its weight's, (out, in/groups, …), or (in, out/groups, …) with `inputs_first`; `weights` has that shape,
    an array or a tensor on a GPU, or is None.
    """

    name: str
    shape: tuple[int, ...]
    weights: Any = None
    groups: int = 1
    inputs_first: bool = False

    @property
    def size(self) -> int:
        """The number of weights."""
        return prod(self.shape)


#: A layer and its mask: boolean, of the layer's shape, an array or a tensor on a GPU.
MaskedLayer = tuple[Layer, Any]


def kept_weights(mask: Any) -> int:
    """Return how many weights a boolean mask, an array or a tensor, keeps."""
    return int(np.count_nonzero(mask) if isinstance(mask, np.ndarray) else mask.count_nonzero())


def chunk_of(masked: Iterator[MaskedLayer], most_edges: int, most_entries: int) -> Iterator[MaskedLayer]:
    """Yield layers with their masks until they hold so many kept weights, or so many weights in all."""
    edges = entries = 0
    while edges < most_edges and entries < most_entries:
        pair = next(masked, None)
        if pair is None:
            return
        yield pair
        edges += kept_weights(pair[1])
        entries += pair[0].size
