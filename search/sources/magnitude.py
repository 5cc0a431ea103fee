"""Magnitude pruning at initialisation."""

import numpy as np
from torch import nn

from ...models.data import Data
from ...models.layers import prunable
from .source import Source


class Magnitude(Source):
    """The absolute value of the weight (Han et al., NeurIPS 2015)."""

    def scores(self, model: nn.Module, data: Data, seed: int) -> dict[str, np.ndarray]:
        return {name: weight.detach().abs().double().cpu().numpy() for name, weight in prunable(model).items()}
