"""The moving average of a network's weights."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of the weights of `model`, with `decay` in (0, 1); it starts at those it has now.

    Running statistics are averaged likewise; buffers that are no floating-point numbers are the model's own. The decay
    of the n-th update is at most (1 + n) / (10 + n), n from 0, so that a short training forgets the initial weights (as
    TensorFlow's ExponentialMovingAverage does). A weight that is always zero is exactly zero in the average.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        named = [*model.named_parameters(), *model.named_buffers()]
        self._decay = decay
        self._tensors = {name: tensor for name, tensor in named if tensor.is_floating_point()}
        self._averages = {name: tensor.detach().clone() for name, tensor in self._tensors.items()}

    @torch.no_grad()
    def update(self, number: int) -> None:
        """Move towards the weights of now; `number` counts the updates before this one."""
        decay = min(self._decay, (1 + number) / (10 + number))
        torch._foreach_lerp_(list(self._averages.values()), list(self._tensors.values()), 1 - decay)

    @torch.no_grad()
    def zero_removed_weights(self, masks: Mapping[str, torch.Tensor]) -> None:
        """Set the averages of all weights that `masks`, by parameter name and 0 or 1, remove to zero."""
        for name, mask in masks.items():
            self._averages[name].mul_(mask)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averages inside the block, and its own weights back after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return a copy of the averages by name, on the CPU."""
        return {name: average.cpu().clone() for name, average in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up the averages that `state_dict` returned."""
        for name, average in self._averages.items():
            average.copy_(state[name])

    def _swap(self) -> None:
        for name, tensor in self._tensors.items():
            tensor.data, self._averages[name] = self._averages[name], tensor.data
