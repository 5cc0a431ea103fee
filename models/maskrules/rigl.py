"""RigL: rigging the lottery."""

import torch

from .dropandgrow import DropAndGrow
from .rule import Layer


class RigL(DropAndGrow):
    """The rule of Evci et al. (ICML 2020): drop the smallest magnitudes, grow where the loss is steepest.

    Algorithm 1, but for one thing: the step before an update is taken too, so that a training has as many optimizer
    steps as iterations.
    """

    def growth(self, layer: Layer, generator: torch.Generator) -> torch.Tensor:
        """Return the magnitude of the gradient."""
        return layer.gradient.abs()
