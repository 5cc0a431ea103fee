"""The rules that only remove weights: from the dense network down to the counts of the given mask."""

from collections.abc import Mapping

import torch

from .magnitudes import largest
from .rule import Layer, MaskRule


class Removal(MaskRule):
    """A rule that starts with all weights kept and removes the smallest magnitudes of each layer at every update.

    The last update leaves as many weights in each layer as the given mask keeps; nothing else of that mask matters. A
    weight that is removed is never regrown.
    """

    def left(self, kept: int, size: int, progress: float) -> float:
        """Return how many of a layer's `size` weights are left after the part `progress` of all updates, not rounded.

        `progress` lies in (0, 1); it is 1 at the last update, which leaves `kept`. The number must never rise with it.
        """
        raise NotImplementedError

    def count(self, kept: int, size: int, iteration: int, total_iterations: int) -> int:
        """Return how many of a layer's weights are kept after `iteration` steps: `size` before the first update."""
        done = self.schedule.updates(iteration, total_iterations)
        updates = self.schedule.updates(total_iterations, total_iterations)
        if done in (0, updates):
            return kept if done else size
        return round(self.left(kept, size, done / updates))

    def update(
        self, layers: Mapping[str, Layer], iteration: int, total_iterations: int, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Return the masks without the smallest weights, by name."""
        return {name: _without_smallest(layer) for name, layer in layers.items()}


def _without_smallest(layer: Layer) -> torch.Tensor:
    result = torch.zeros_like(layer.mask).flatten()
    # Below every magnitude, so that a kept weight that happens to be 0 is not passed over for a removed one.
    result[largest(layer.weight.abs().masked_fill(~layer.mask, -1.0), layer.count)] = True
    return result.view(layer.mask.shape)
