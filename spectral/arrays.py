"""Masks and weights as checked arrays: tensors where they are on a GPU, else numpy's."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

#: Devices on which the coordinate is computed in place. Arrays on others, as Apple's, which have no float64, go to the
#: host.
GPUS = ("cuda",)

#: Entries whose absolute values are summed at a time: they stay in the processor's cache.
SUMMED = 2**16


def gpu_of(values: Iterable[Any]) -> Any | None:
    """Return the GPU, a torch.device, that the first tensor on one is on; None where none is."""
    devices = (getattr(value, "device", None) for value in values)
    return next((device for device in devices if getattr(device, "type", None) in GPUS), None)


def checked_arrays(
    masks: Mapping[str, Any], weights: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return boolean masks and the weights that belong to them, by parameter name, in the order of `masks`.

    Both map names to numpy arrays or torch tensors, of any real type and on any device; `weights` may hold more names
    than `masks`, or be None. Where a weight is on a GPU, or without weights a mask, all weights come back as tensors
    there, and so do masks on a GPU; all else comes back as numpy arrays. Raises ValueError, naming the parameter, for a
    mask with fewer than two axes, without entries or with values other than 0 and 1, for weights that are missing, of
    another shape (all such at once) or not finite.
    """
    if not masks:
        raise ValueError("masks must hold at least one parameter, but got none")
    if weights is not None:
        _check_shapes(masks, weights)
        gpu = gpu_of(weights[name] for name in masks)
        weights = {name: _weights(name, weights[name], gpu) for name in masks}
    else:
        gpu = gpu_of(masks.values())
    return {name: _mask(name, mask, gpu) for name, mask in masks.items()}, weights


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
            "score the masks on the network that they were made for"
        )


def _mask(name: str, values: Any, gpu: Any | None) -> Any:
    array = _array(f"mask of {name}", values, gpu_of([values]) and gpu)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"mask of {name} must have at least 2 axes (out, in, …) and an entry, but got shape {tuple(array.shape)}: "
            "leave out parameters that are not weights of a layer"
        )
    if str(array.dtype) not in ("bool", "torch.bool"):
        if not ((array == 0) | (array == 1)).all():
            raise ValueError(f"mask of {name} must hold only 0 and 1 (1 = kept), but it holds other values")
        array = array == 1
    return array


def _weights(name: str, values: Any, gpu: Any | None) -> Any:
    array = _array(f"weights of {name}", values, gpu)
    if not (np.isfinite(array) if isinstance(array, np.ndarray) else array.isfinite()).all():
        raise ValueError(
            f"weights of {name} must be finite, but they hold nan or inf: use weights before they diverged"
        )
    return array


def _array(what: str, values: Any, gpu: Any | None) -> Any:
    return numpy_array(what, values) if gpu is None else _tensor(what, values, gpu)


def _tensor(what: str, values: Any, gpu: Any) -> Any:
    from .gpu.matrices import tensor_on  # here, as nothing else needs torch

    tensor = tensor_on(gpu, values if hasattr(values, "detach") else numpy_array(what, values))
    if tensor.is_complex():
        raise ValueError(f"{what} must hold real numbers, but got {tensor.dtype}")
    # Not every operation knows the smaller types; float32 holds each of their values.
    return tensor.float() if tensor.is_floating_point() and tensor.element_size() < 4 else tensor


def numpy_array(what: str, values: Any) -> np.ndarray:
    """Return real numbers as a numpy array on the host; `what` names them in the ValueError for other types."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        try:
            values = values.numpy()
        except TypeError:  # bfloat16 and the 8-bit floats have no numpy type; float32 holds each of their values
            values = values.float().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must hold real numbers, but got {array.dtype}")
    return array


def magnitude(values: Any) -> float:
    """Return the sum of the absolute values of an array or tensor, in double precision."""
    if not isinstance(values, np.ndarray):
        return float(values.detach().double().abs().sum())
    # The least integer has no absolute value of its own type.
    kind = values.dtype if values.dtype.kind == "f" else np.float64
    flat = np.ravel(values)
    parts = (flat[first : first + SUMMED] for first in range(0, flat.size, SUMMED))
    return sum(float(np.abs(part, dtype=kind).sum(dtype=np.float64)) for part in parts)
