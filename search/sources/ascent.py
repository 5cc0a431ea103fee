"""Spectral ascent: the masks of another source, with edges swapped to raise the objective."""

import numpy as np

from ...models.seeds import derive
from ...spectral.arrays import numpy_array
from ...spectral.ascent import ascend
from .registry import source_called
from .setting import Setting
from .source import Source


class Ascent(Source):
    """The draws of another source, each layer's term of the study's objective raised by swaps of edges.

    Swaps keep the degree of every node, and so the layer's count; see `spectral.ascent`. Scores, temperature and all
    other properties are those of the other source. A raised score is no evidence any more: only a study can show
    whether such masks train better.
    """

    def __init__(self, start: str = "random") -> None:
        """Begin at the source called `start`."""
        self.scored_as = start
        self._source = source_called(start)
        self.data_driven = self._source.data_driven
        self.has_saliency = self._source.has_saliency
        self.searches_temperature = self._source.searches_temperature
        self.trains = self._source.trains
        self.default_rounds = self._source.default_rounds
        self.default_temperature = self._source.default_temperature

    def check(self, setting: Setting) -> None:
        """Check the setting for the other source."""
        self._source.check(setting)

    def try_out(self, setting: Setting) -> None:
        """Try the other source."""
        self._source.try_out(setting)

    def cost(self, setting: Setting) -> int:
        """Return the cost of the other source."""
        return self._source.cost(setting)

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        return self._source.scores(setting, seed)

    def draw(
        self, setting: Setting, name: str, scores: np.ndarray, count: int, temperature: float, seed: int
    ) -> np.ndarray:
        """Return the other source's draw of the same seed, after ascent on the weights that training starts from."""
        return ascend(
            name,
            self._source.draw(setting, name, scores, count, temperature, seed),
            numpy_array(name, setting.weights[name]),
            setting.objective,
            derive(seed, "ascent", name),
            setting.layout.groups.get(name, 1),
            name in setting.layout.inputs_first,
            setting.spectra,
            setting.variant,
        )

    def origin(self) -> dict[str, str]:
        """Return the metadata of the other source."""
        return self._source.origin()
