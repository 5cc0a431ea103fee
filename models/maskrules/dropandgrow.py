"""The rules that move kept weights: drop the smallest, grow as many elsewhere."""

import math
from collections.abc import Mapping

import torch

from .magnitudes import largest
from .rule import Layer, MaskRule


class DropAndGrow(MaskRule):
    """A rule that drops the smallest weights of each layer and grows as many of the removed ones, by their `growth`.

    The schedule says how many are moved, rounded down. A weight that an update drops can be grown by the same one, as
    in the authors' code of RigL, and then keeps its value.
    """

    def growth(self, layer: Layer, generator: torch.Generator) -> torch.Tensor:
        """Return a score for each weight, of the parameter's shape: the removed weights of highest score are grown."""
        raise NotImplementedError

    def update(
        self, layers: Mapping[str, Layer], iteration: int, total_iterations: int, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Return the masks after the move, by name."""
        fraction = self.schedule.fraction_at(iteration, total_iterations)
        return {name: _moved(layer, fraction, self.growth(layer, generator)) for name, layer in layers.items()}


def _moved(layer: Layer, fraction: float, growth: torch.Tensor) -> torch.Tensor:
    moved = int(fraction * layer.count)
    result = torch.zeros_like(layer.mask).flatten()
    magnitudes = layer.weight.abs().masked_fill(~layer.mask, -math.inf)
    result[largest(magnitudes, layer.count - moved)] = True
    result[largest(growth.flatten().masked_fill(result, -math.inf), moved)] = True
    return result.view(layer.mask.shape)
