"""Random pruning: scores that know nothing."""

import math

import numpy as np
from torch import nn

from ...models.data import Data
from ...models.layers import prunable
from .source import Source


class Random(Source):
    """Independent uniform scores in (0, 1], as in random pruning (Liu et al., ICLR 2022)."""

    searches_temperature = False
    default_temperature = math.inf

    def scores(self, model: nn.Module, data: Data, seed: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        return {name: 1.0 - generator.random(tuple(weight.shape)) for name, weight in prunable(model).items()}
