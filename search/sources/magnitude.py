"""Magnitude pruning at initialisation."""

import numpy as np

from .setting import Setting
from .source import Source


class Magnitude(Source):
    """The absolute value of the weight (Han et al., NeurIPS 2015)."""

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        return {name: weight.detach().abs().double().cpu().numpy() for name, weight in setting.weights.items()}
