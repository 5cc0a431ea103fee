"""Coordinates of uniform random masks of the same layer sparsity: the measure that makes a coordinate readable."""

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

from .cache import SpectralCache
from .fingerprint import fingerprint
from .layer import FIELDS
from .masked import Layer, MaskedLayer
from .scoring import scored
from .variants import PAPER, VARIANTS

#: Uniform random masks that chance is measured on. The standard deviation of so many is known to about 18 %.
DRAWS = 16

#: A spread below this fraction of the mean is rounding: all draws are alike, as those of an unpruned layer.
ROUNDING = 1e-9


@dataclass(frozen=True)
class ZScore:
    """A value beside chance: the mean and standard deviation (of a sample) of random masks, nan where undefined."""

    value: float
    mean: float
    std: float

    @classmethod
    def among(cls, value: float, chances: np.ndarray) -> "ZScore":
        """Return `value` among the values of random masks, shape (draws,); those that are nan do not count."""
        chances = chances[~np.isnan(chances)]
        mean = float(chances.mean()) if chances.size else nan
        return cls(value, mean, float(chances.std(ddof=1)) if chances.size > 1 else nan)

    @property
    def z(self) -> float:
        """Standard deviations above the mean; nan where undefined, and where all random masks are alike."""
        return (self.value - self.mean) / self.std if self.std > ROUNDING * abs(self.mean) else nan


def chance(
    layers: Sequence[Layer],
    kept: Sequence[int],
    draws: int = DRAWS,
    first: int = 0,
    threads: int = 1,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
    variant: str = PAPER.name,
) -> np.ndarray:
    """Return the coordinates of `draws` random masks of each layer, with as many kept weights, on its own weights.

    The shape is (draws, layers, 4), the last axis in the order of `FIELDS`, nan where undefined, in the `variant` of
    that name. Seeded by the layer's name and the number of the draw, from `first` on, so that every process finds the
    same. `cache` keeps them for later calls, by all that they depend on.
    `progress` is called with a layer's name for each of its draws.
    """
    cache = cache or SpectralCache()
    keys = [_key(layer, count, first, draws) for layer, count in zip(layers, kept, strict=True)]
    found = {number: known for number, key in enumerate(keys) if (known := cache.chances.get(key)) is not None}
    new = [number for number in range(len(keys)) if number not in found]
    masked = (pair for number in new for pair in _draws(layers[number], kept[number], first, draws))
    # In all variants, which cost what one does.
    vectors = ([one.coordinates[name].vector for name in VARIANTS] for one in scored(masked, threads, progress, cache))
    for number in new:
        # Where every draw is the same mask, one was made.
        made = np.array([next(vectors) for _ in range(_different(layers[number], kept[number], draws))])
        found[number] = np.broadcast_to(made, (draws, len(VARIANTS), len(FIELDS)))
        cache.chances.put(keys[number], found[number])
    if progress:
        for number, layer in enumerate(layers):
            for _ in range(draws - (number in new) * _different(layer, kept[number], draws)):
                progress(layer.name)  # those that were not computed
    return np.stack([found[number] for number in range(len(keys))], axis=1)[:, :, [*VARIANTS].index(variant)]


def _different(layer: Layer, kept: int, draws: int) -> int:
    """Return how many draws are made: of a layer that keeps all or nothing, one."""
    return 1 if kept in (0, layer.size) else draws


def _draws(layer: Layer, kept: int, first: int, draws: int) -> Iterator[MaskedLayer]:
    # Seeded by a digest of the name: the built-in hash of a string differs from process to process.
    name = int.from_bytes(hashlib.sha256(layer.name.encode()).digest(), "little")
    for number in range(first, first + _different(layer, kept, draws)):
        mask = np.zeros(layer.size, dtype=bool)
        mask[np.random.default_rng([name, number]).choice(mask.size, kept, replace=False, shuffle=False)] = True
        yield layer, mask.reshape(layer.shape)


def _key(layer: Layer, kept: int, first: int, draws: int) -> Hashable:
    digest = None if layer.weights is None else fingerprint(layer.weights)
    return layer.name, layer.shape, layer.groups, layer.inputs_first, kept, first, draws, digest
