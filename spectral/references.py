"""The points that a coordinate is measured from, and the random masks that it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Any

import numpy as np

from .cache import SpectralCache
from .chance import DRAWS, chance
from .layer import FIELDS
from .masked import Layer
from .scoring import scored
from .variants import VARIANTS

#: Points that a distance is measured from.
REFERENCES = ("origin", "random", "dense", "start")


@dataclass
class References:
    """The reference points of one mask set, each computed when it is first asked for, and once."""

    layers: Sequence[Layer]
    """The layers with weights that nobody changes."""
    kept: Sequence[int]
    """Kept weights of each layer."""
    threads: int
    cache: SpectralCache
    start: Sequence[Layer] | None = None
    """The layers with the weights that training started from; None where nobody gave them."""
    masks: Sequence[Any] = ()
    """The masks, where `start` is given."""
    _points: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)

    def point(self, name: str, variant: str) -> np.ndarray:
        """Return a reference point in a variant, shape (layers, 4), nan where undefined.

        Raises ValueError for "start" without the weights that training started from.
        """
        if (name, variant) not in self._points:
            computed = {"origin": self._origin, "random": self._random, "dense": self._dense, "start": self._start}
            self._points |= {(name, each): point for each, point in computed[name](variant).items()}
        return self._points[name, variant]

    def chances(
        self,
        variant: str,
        draws: int,
        first: int = 0,
        progress: Callable[[str], None] | None = None,
        at_start: bool = False,
    ) -> np.ndarray:
        """Return the coordinates of random masks with as many kept weights, shape (draws, layers, 4), as `chance` does.

        With `at_start` those of the same masks on the weights that training started from.
        """
        if draws < 2:
            raise ValueError(f"draws must be at least 2, for a standard deviation, but are {draws}")
        layers = self._started() if at_start else self.layers
        return chance(layers, self.kept, draws, first, self.threads, progress, self.cache, variant)

    def _origin(self, variant: str) -> dict[str, np.ndarray]:
        return {variant: np.zeros((len(self.layers), len(FIELDS)))}

    def _random(self, variant: str) -> dict[str, np.ndarray]:
        vectors = self.chances(variant, DRAWS)
        defined = ~np.isnan(vectors)
        means = np.where(defined, vectors, 0.0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
        means[~defined.any(axis=0)] = nan
        # An unpruned layer has one random mask, which is at distance 0: exactly, not to rounding.
        return {variant: np.asarray(np.where((vectors == vectors[0]).all(axis=0), vectors[0], means))}

    def _dense(self, variant: str) -> dict[str, np.ndarray]:
        return self._scored(self.layers, [np.broadcast_to(True, layer.shape) for layer in self.layers])

    def _start(self, variant: str) -> dict[str, np.ndarray]:
        return self._scored(self._started(), self.masks)

    def _started(self) -> Sequence[Layer]:
        if self.start is None:
            raise ValueError(
                'reference "start" needs the weights that training started from, but none were given: give them as '
                '`start`, or take the reference "origin"'
            )
        return self.start

    def _scored(self, layers: Sequence[Layer], masks: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the coordinates of masked layers in every variant."""
        found = list(scored(zip(layers, masks, strict=True), self.threads, cache=self.cache))
        return {name: np.array([one.coordinates[name].vector for one in found]) for name in VARIANTS}


def owned_layer(layer: Layer) -> Layer:
    """Return the layer with weights that nobody changes.

    The references are computed when first asked for, and the weights may have been trained by then. Weights that are
    read-only are not copied.
    """
    return layer if layer.weights is None else replace(layer, weights=owned(layer.weights))


def owned(values: Any) -> Any:
    """Return an array or tensor that nobody else changes: a copy, unless it is read-only."""
    if not isinstance(values, np.ndarray):
        return values.clone()
    return values.copy() if values.flags.writeable else values
