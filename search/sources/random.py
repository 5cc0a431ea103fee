"""Random pruning: scores that depend on no weight."""

import numpy as np

from .setting import Setting
from .source import Untempered


class Random(Untempered):
    """Independent uniform scores in (0, 1], as in random pruning (Liu et al., ICLR 2022)."""

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        return {name: 1.0 - generator.random(tuple(weight.shape)) for name, weight in setting.weights.items()}
