"""The counter of what masks cost in one network."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from ..errors import FAILURES
from ..placement import image_dtype
from ..sharing import memory_of
from ..task import Task
from .flops import Flops, count_flops
from .maskcost import LayerCost, MaskCost, layer_cost


class CostCounter:
    """A counter of what mask sets cost in `model`, made once; one input is an image of `task`.

    Where the forward pass of a copy fails on the CPU, operations are not known.
    """

    def __init__(self, model: nn.Module, task: Task) -> None:
        names = {id(weight): name for name, weight in model.named_parameters()}
        self._first = {name: names[id(weight)] for name, weight in model.named_parameters(remove_duplicate=False)}
        self._shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
        self._value_bytes = {name: weight.element_size() for name, weight in model.named_parameters()}
        self._buffer_bytes = _buffer_bytes(model)
        self._flops = _flops(model, task)
        self._whole = {name: self._flops_of(name, np.ones(shape, dtype=bool)) for name, shape in self._shapes.items()}

    def cost(self, masks: Mapping[str, np.ndarray]) -> MaskCost:
        """Return what `masks` of parameters cost, a shared one under any of its names.

        Parameters without a mask are kept whole, and stored dense, as buffers are.
        """
        masked = {self._first[name] for name in masks}
        layers = {
            name: layer_cost(
                mask,
                self._value_bytes[self._first[name]],
                self._flops_of(self._first[name], mask),
                self._whole[self._first[name]],
            )
            for name, mask in masks.items()
        }
        others = self._flops.others if self._flops else None
        rest = LayerCost(0, 0, self._buffer_bytes, self._buffer_bytes, others, others)
        for name in (name for name in self._shapes if name not in masked):
            rest += self._kept_whole(name)
        return MaskCost(layers, rest)

    def _kept_whole(self, name: str) -> LayerCost:
        count, flops = int(np.prod(self._shapes[name], dtype=np.int64)), self._whole[name]
        size = count * self._value_bytes[name]
        return LayerCost(count, count, size, size, flops, flops)

    def _flops_of(self, name: str, mask: np.ndarray) -> int | None:
        return self._flops.of(name, mask) if self._flops else None


def _flops(model: nn.Module, task: Task) -> Flops | None:
    try:
        return count_flops(model, torch.zeros(1, task.channels, task.size, task.size, dtype=image_dtype(model)))
    except FAILURES:  # Whatever a user's forward pass may raise on another device or a single image.
        return None


def _buffer_bytes(model: nn.Module) -> int:
    """Return the bytes of the buffers that a state dict holds."""
    stored = model.state_dict().keys()
    buffers = {memory_of(buffer): buffer for name, buffer in model.named_buffers() if name in stored}
    return sum(buffer.numel() * buffer.element_size() for buffer in buffers.values())
