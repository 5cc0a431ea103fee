"""SET: sparse evolutionary training."""

import torch

from .dropandgrow import DropAndGrow
from .rule import Layer


class SET(DropAndGrow):
    """The rule of Mocanu et al. (Nature Communications 2018): drop the smallest magnitudes, grow at random, uniformly.

    The fraction that is moved falls as in RigL, for which Evci et al. (ICML 2020) compare the two.
    """

    def growth(self, layer: Layer, generator: torch.Generator) -> torch.Tensor:
        """Return independent uniform draws, the same on every device."""
        # In double precision: of single-precision draws, several million hold thousands of ties.
        draws = torch.rand(layer.mask.shape, generator=generator, dtype=torch.float64)
        return draws.to(layer.mask.device)
