"""Masks and weights as numpy arrays, checked."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def numpy_arrays(
    masks: Mapping[str, Any], weights: Mapping[str, Any] | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray] | None]:
    """Boolean masks and the weights that belong to them, by parameter name, in the order of `masks`.

    Both map names to numpy arrays or torch tensors, of any real type and on any device; `weights` may hold more names
    than `masks`, or be None. Raises ValueError, naming the parameter, for a mask with fewer than two axes, without
    entries or with values other than 0 and 1, for weights that are missing, of another shape (all such at once) or not
    finite.
    """
    if not masks:
        raise ValueError("masks must hold at least one parameter, but got none.")
    if weights is not None:
        _check_shapes(masks, weights)
        weights = {name: _weights(name, weights[name]) for name in masks}
    return {name: _mask(name, mask) for name, mask in masks.items()}, weights


def _check_shapes(masks: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    faults = []
    for name, mask in masks.items():
        if name not in weights:
            faults.append(f"{name} has no weights")
            continue
        # A tensor's shape prints as torch.Size.
        shapes = tuple(np.shape(mask)), tuple(np.shape(weights[name]))
        if shapes[0] != shapes[1]:
            faults.append(f"{name} has mask shape {shapes[0]} but weight shape {shapes[1]}")
    if faults:
        raise ValueError(
            f"every mask needs weights of its own name and shape, but {'; '.join(faults)}: "
            "score the masks on the network that they were made for."
        )


def _mask(name: str, values: Any) -> np.ndarray:
    array = _numpy(f"mask of {name}", values)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"mask of {name} must have at least 2 axes (out, in, …) and an entry, but got shape {array.shape}: "
            "leave out parameters that are not weights of a layer."
        )
    if array.dtype != bool:
        if not ((array == 0) | (array == 1)).all():
            raise ValueError(f"mask of {name} must hold only 0 and 1 (1 = kept), but it holds other values.")
        array = array.astype(bool)
    return array


def _weights(name: str, values: Any) -> np.ndarray:
    array = _numpy(f"weights of {name}", values)
    if not np.isfinite(array).all():
        raise ValueError(
            f"weights of {name} must be finite, but they hold nan or inf: use weights before they diverged."
        )
    return array


def _numpy(what: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        try:
            values = values.numpy()
        except TypeError:  # bfloat16 and the 8-bit floats have no numpy type; float32 holds each of their values
            values = values.float().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must hold real numbers, but got {array.dtype}.")
    return array
