"""A mask source of your own: score the weights, and the package allocates, draws, guards and records."""

import numpy as np
from fullspectrum.search.sources import Setting, Source
from torch import Tensor


class OutputMagnitude(Source):
    """|w| over the norm of the weights of the same output, so that outputs with small weights keep as many."""

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        """Return the relative magnitudes; `seed` is for sources that draw something."""
        return {name: _relative(weight.detach().double()).cpu().numpy() for name, weight in setting.weights.items()}


def _relative(weight: Tensor) -> Tensor:
    rows = weight.abs().flatten(1)
    return (rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)).view_as(weight)
