"""Measured latency: a network as it is, and with compressed sparse rows in the place of its masked layers."""

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ..eager import uncompiled
from ..masks import MaskSet, check_fits
from .csr import compressed

#: Types that torch multiplies compressed sparse rows of on the CPU.
_DTYPES = (torch.float32, torch.float64)


@dataclass(frozen=True)
class Latency:
    """Median seconds of a forward pass on the CPU, dense with zeros in place and as compressed sparse rows.

    `layers` has both for each layer whose kernel was replaced: linear ones, and convolutions of one or two dimensions.
    torch has no convolution of sparse weights: in their place stand `unfold` and a product with the unrolled weights.
    """

    dense: float
    csr: float
    layers: Mapping[str, tuple[float, float]]
    masked: int
    """Masked layers; those not in `layers` run dense."""
    repeats: int
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as nested plain values."""
        layers = {name: {"dense": dense, "csr": csr} for name, (dense, csr) in self.layers.items()}
        return {**asdict(self), "layers": layers}


def measure_latency(model: nn.Module, masks: MaskSet, inputs: torch.Tensor, repeats: int = 21) -> Latency:
    """Measure a copy of `model` under `masks` in evaluation mode, on the CPU and on torch's threads as they are set.

    Both forms run in turn, so that a busy machine meets them alike. Raises `InputError` where the masks do not fit the
    model, and what its forward pass raises.
    """
    dense = copy.deepcopy(model).cpu().eval()
    fitting = check_fits(masks, dict(dense.named_parameters(remove_duplicate=False)))
    weights = dict(dense.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, mask in fitting.items():
            weights[name].mul_(torch.tensor(mask))
    sparse = copy.deepcopy(dense)
    with _unfused(), uncompiled(), torch.inference_mode():
        replaced = dict(_replaced(sparse, fitting))
        seen = _inputs(sparse, replaced, inputs)
        whole = _medians([lambda: dense(inputs), lambda: sparse(inputs)], repeats)
        layers = {
            path: _medians([_Call(dense.get_submodule(path), given), _Call(replaced[path], given)], repeats)
            for path, given in seen.items()
        }
    named = {_name(path): (slow, fast) for path, (slow, fast) in layers.items()}
    return Latency(whole[0], whole[1], named, len(fitting), repeats, torch.get_num_threads())


class CsrLinear:
    """The forward pass of a linear layer by a product with its kept weights."""

    def __init__(self, layer: nn.Linear, weight: torch.Tensor) -> None:
        self._weight, self._bias = weight, layer.bias

    def __call__(self, input: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns of `input` (…, in)."""
        outputs = (self._weight @ input.reshape(-1, input.shape[-1]).T).T
        if self._bias is not None:
            outputs = outputs + self._bias
        return outputs.reshape(*input.shape[:-1], -1)


class CsrConvolution:
    """The forward pass of a convolution of one or two dimensions: unfold, and a product with its kept weights."""

    def __init__(self, layer: nn.Conv1d | nn.Conv2d, weight: torch.Tensor) -> None:
        self._layer, self._weight = layer, weight

    def __call__(self, input: torch.Tensor) -> torch.Tensor:
        """Return what the layer returns of `input` (N, C, …) or (C, …)."""
        layer = self._layer
        images = input if input.ndim == layer.weight.ndim else input[None]
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        images = functional.pad(images, layer._reversed_padding_repeated_twice, mode)
        flat: tuple[int, ...] = ()
        if images.ndim == 3:
            images, flat = images[:, :, None], (1,)
        kernel, dilation, stride = (flat + each for each in (layer.kernel_size, layer.dilation, layer.stride))
        columns = functional.unfold(images, kernel, dilation, 0, stride)
        outputs = self._weight @ columns.permute(1, 0, 2).reshape(columns.shape[1], -1)
        if layer.bias is not None:
            outputs = outputs + layer.bias[:, None]
        places = [
            (length - step * (size - 1) - 1) // by + 1
            for length, size, step, by in zip(images.shape[2:], kernel, dilation, stride, strict=True)
        ]
        outputs = outputs.reshape(len(outputs), len(images), *places[len(flat) :]).transpose(0, 1)
        return outputs if input.ndim == layer.weight.ndim else outputs[0]


def _replaced(model: nn.Module, masks: MaskSet) -> Iterator[tuple[str, CsrLinear | CsrConvolution]]:
    """Replace the kernels of masked layers in place where there is one for sparse weights; yield them by path."""
    masked = {id(model.get_parameter(name)): mask for name, mask in masks.items()}
    for path, layer in model.named_modules():
        weight = layer._parameters.get("weight")
        if weight is None or id(weight) not in masked or weight.dtype not in _DTYPES:
            continue
        kernel: CsrLinear | CsrConvolution
        if isinstance(layer, nn.Linear):
            kernel = CsrLinear(layer, compressed(masked[id(weight)], weight))
        elif isinstance(layer, nn.Conv1d | nn.Conv2d):
            kernel = CsrConvolution(layer, compressed(masked[id(weight)], weight, layer.groups))
        else:
            continue
        # The layer stays where it is: who reads its weight without calling it, as attention does, finds it.
        layer.forward = kernel
        yield path, kernel


def _inputs(model: nn.Module, kernels: Mapping[str, Any], inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what each of the layers is called with, the first time, in a forward pass; not of those never called."""
    seen: dict[str, torch.Tensor] = {}

    def note(path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda layer, given: None if path in seen or not given else seen.update({path: given[0]})

    hooks = [model.get_submodule(path).register_forward_pre_hook(note(path)) for path in kernels]
    model(inputs)
    for hook in hooks:
        hook.remove()
    return seen


class _Call:
    """A call with given inputs."""

    def __init__(self, function: Callable[[torch.Tensor], Any], inputs: torch.Tensor) -> None:
        self._function, self._inputs = function, inputs

    def __call__(self) -> None:
        self._function(self._inputs)


def _medians(calls: Sequence[Callable[[], Any]], repeats: int) -> tuple[float, float]:
    """Return the median seconds of two calls, made in turn; the first of each does not count."""
    taken: list[list[float]] = [[], []]
    for _ in range(repeats + 1):
        for call, seconds in zip(calls, taken, strict=True):
            begun = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begun)
    first, second = (median(seconds[1:]) for seconds in taken)
    return first, second


@contextmanager
def _unfused() -> Iterator[None]:
    """Take no fused attention, which would pass over replaced layers."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _name(path: str) -> str:
    return f"{path}.weight".lstrip(".")
