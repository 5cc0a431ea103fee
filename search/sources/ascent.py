"""Spectral ascent: the masks of another source, their edges swapped until the objective is higher."""

import numpy as np

from ...models.seeds import derive
from ...spectral.arrays import numpy_array
from ...spectral.ascent import ascend
from .setting import Setting
from .source import Source


class Ascent(Source):
    """The draws of another source, each layer's term of the study's objective raised by swaps of edges.

    Swaps keep the degree of every node, and with them the layer's count; see `spectral.ascent`. Scores, temperature and
    all else are the other source's. A score that is climbed is no longer evidence: such masks have the most of it, and
    whether they train better is what a study has to show.
    """

    def __init__(self, start: str, source: Source) -> None:
        """`start` is the name of the other source."""
        self.scored_as = start
        self._source = source
        self.data_driven = source.data_driven
        self.has_saliency = source.has_saliency
        self.searches_temperature = source.searches_temperature
        self.default_temperature = source.default_temperature

    def check(self, setting: Setting) -> None:
        """As the other source."""
        self._source.check(setting)

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        return self._source.scores(setting, seed)

    def draw(
        self, setting: Setting, name: str, scores: np.ndarray, count: int, temperature: float, seed: int
    ) -> np.ndarray:
        """The other source's draw of the same seed, then ascent on the weights that training starts from."""
        return ascend(
            name,
            self._source.draw(setting, name, scores, count, temperature, seed),
            numpy_array(name, setting.weights[name]),
            setting.objective,
            derive(seed, "ascent", name),
            setting.layout.groups.get(name, 1),
            name in setting.layout.inputs_first,
        )

    def origin(self) -> dict[str, str]:
        """As the other source."""
        return self._source.origin()
