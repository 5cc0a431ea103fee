"""A cache of the values that were computed of layers, owned by the caller that scores many candidates."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np

from .arrays import magnitude
from .layer import ScoredLayer

#: Entries of each kind in a cache, some 1,000 bytes each.
CAPACITY = 2**15

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """A dictionary of at most `capacity` entries that drops the least recently used one; safe among threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """Return the value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)


class SpectralCache:
    """Coordinates of layers, and of the random masks that they are held against, by all that these depend on.

    Give the same one to each call of `full_spectra` whose candidates may have layers, or counts of kept weights, in
    common: they are then computed once. It changes no value. A copy, as another process gets, begins empty.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Hold at most `capacity` coordinates of layers, and as many of layers' random masks."""
        self._capacity = capacity
        self.layers: LruCache[ScoredLayer] = LruCache(capacity)
        self.chances: LruCache[np.ndarray] = LruCache(capacity)
        self._magnitudes: LruCache[tuple[np.ndarray, float]] = LruCache(capacity)

    def magnitude(self, weights: Any) -> float:
        """Return the sum of absolute weights, an array or tensor; of an array that is read-only, summed up once."""
        if not isinstance(weights, np.ndarray) or weights.flags.writeable:
            return magnitude(weights)
        known = self._magnitudes.get(id(weights))
        if known is None:
            # With the array, so that nothing else takes its place in memory.
            known = weights, magnitude(weights)
            self._magnitudes.put(id(weights), known)
        return known[1]

    def __reduce__(self) -> tuple[type["SpectralCache"], tuple[int]]:
        return SpectralCache, (self._capacity,)
