"""Random biregular masks: on either side of a layer, degrees differ by one at most."""

import numpy as np

from ...models.seeds import derive
from ...spectral.biregular import biregular, evenly
from .random import Random
from .setting import Setting


class Biregular(Random):
    """Uniform over the masks whose degrees differ by one at most on either side of a layer: expanders by chance.

    Such graphs are almost Ramanujan (Brito, Dumitriu and Harris, 2022; see `spectral.biregular`). The groups of a
    grouped convolution are graphs of their own, and their numbers of edges differ by one at most. The scores, and with
    them the global ranking, are those of a random source, and do not affect a draw.
    """

    def draw(
        self, setting: Setting, name: str, scores: np.ndarray, count: int, temperature: float, seed: int
    ) -> np.ndarray:
        generator = np.random.default_rng(derive(seed, "draw", name))
        groups = setting.layout.groups.get(name, 1)
        height, width = len(scores) // groups, scores[0].size
        masks = [biregular(height, width, edges, generator) for edges in evenly(count, groups, generator)]
        return np.concatenate(masks).reshape(scores.shape)
