"""Weights that a file holds by the indices of those that are kept."""

from collections.abc import Iterable, Sequence
from math import prod

import numpy as np
import torch

from ..errors import InputError

#: Weights that a file of sparse weights may stand for: so many in all, or so many for each of its bytes. A weight that
#: is kept takes at least eight, so that a network of a sparsity of 99.8 % may have any size.
_WEIGHTS, _WEIGHTS_OF_BYTE = 2**25, 64

_MOST_AXES = 32


def check_expansion(shapes: Iterable[Sequence[int]], size: int) -> None:
    """Raise `InputError` for shapes that are none, and for far more weights than `size` bytes of a file stand for."""
    weights = 0
    for shape in shapes:
        if not 1 <= len(shape) <= _MOST_AXES or min(shape) < 1:
            raise InputError(f"holds a sparse weight of shape {tuple(shape)[:_MOST_AXES]}")
        weights += prod(shape)
    if weights > max(_WEIGHTS, _WEIGHTS_OF_BYTE * size):
        raise InputError(f"stands for {weights} weights, but holds {size} bytes of them; give the dense weights")


def scattered(
    name: str, places: np.ndarray, values: torch.Tensor, shape: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mask and the weights, 0 elsewhere, of a weight whose flat indices in C order and values are given.

    Raises `InputError`, naming the parameter, unless the indices increase, lie in the shape, and are as many as values.
    """
    size = prod(shape)
    if places.ndim != 1 or places.dtype.kind not in "iu" or values.shape != places.shape:
        raise InputError(f"the indices of {name} do not match its values")
    if places.size and (places[0] < 0 or places[-1] >= size or (np.diff(places) <= 0).any()):
        raise InputError(f"the indices of {name} do not increase, or do not lie in its shape {tuple(shape)}")
    where = torch.from_numpy(places.astype(np.int64))
    mask, weights = torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=values.dtype)
    mask[where] = True
    weights[where] = values
    return mask.reshape(tuple(shape)), weights.reshape(tuple(shape))
