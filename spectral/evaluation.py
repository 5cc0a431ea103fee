"""The coordinates of many layers, over the process's cores, each distinct layer once."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from .arrays import gpu_of
from .biadjacency import Biadjacency, bipartite_graph
from .fingerprint import fingerprint
from .layer import LayerCoordinate, LayerSpectrum
from .singular import Map, two_largest_of

# Layers are taken up together until they hold this many kept weights: bounds the memory, and fills the batches.
CHUNK_EDGES = 2**20
# Or until they have this many weights, kept or not.
CHUNK_ENTRIES = 2**26
# With fewer kept weights than this, threads wait for each other longer than they compute.
PARALLEL_EDGES = 2**17
# Layer coordinates that are remembered, some 500 bytes each.
REMEMBERED = 2**15


@dataclass(frozen=True, eq=False)
class Layer:
    """A prunable layer as the coordinate sees it.

    `shape` is its weight's, (out, in/groups, …), or (in, out/groups, …) with `inputs_first`; `weights` has that shape,
    an array or a tensor on a GPU, or is None.
    """

    name: str
    shape: tuple[int, ...]
    weights: Any = None
    groups: int = 1
    inputs_first: bool = False

    @property
    def size(self) -> int:
        """The number of weights."""
        return int(np.prod(self.shape))


class Remembered:
    """A dictionary that forgets what was not asked for longest; safe among threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key):
        """The value of a key, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key, value) -> None:
        """Remembers a value."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._values.clear()


#: Coordinates by the content of their graph: candidates that share a layer's mask share its spectra.
KNOWN_LAYERS = Remembered(REMEMBERED)


def kept_weights(mask: Any) -> int:
    """How many weights a boolean mask, an array or a tensor, keeps."""
    return int(np.count_nonzero(mask) if isinstance(mask, np.ndarray) else mask.count_nonzero())


def usable_cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def layer_coordinates(
    masked: Iterable[tuple[Layer, np.ndarray]], threads: int, progress: Callable[[str], None] | None = None
) -> Iterator[LayerCoordinate]:
    """The coordinate of each layer under its mask (boolean, of the layer's shape), in order.

    Pairs are taken from `masked` as they are needed, so that masks may be drawn one by one. The values do not depend on
    `threads`. `progress` is called with the name of each layer that is done. Weights on a GPU, or masks where there
    are none, are scored there; see `gpu`.
    """
    pairs = iter(masked)
    first = list(islice(pairs, 1))
    pairs = chain(first, pairs)
    gpu = gpu_of(mask if layer.weights is None else layer.weights for layer, mask in first)
    if gpu is not None:
        from .gpu.evaluation import layer_coordinates_on  # here, as nothing else needs torch

        yield from layer_coordinates_on(gpu, pairs, progress)
        return
    with _pool(threads) as parallel:
        while chunk := list(chunk_of(pairs, CHUNK_EDGES, CHUNK_ENTRIES)):
            run = parallel if sum(kept_weights(mask) for _, mask in chunk) >= PARALLEL_EDGES else map
            for (layer, _), coordinate in zip(chunk, _chunk_coordinates(chunk, run), strict=True):
                if progress:
                    progress(layer.name)
                yield coordinate


def chunk_of(pairs: Iterator[tuple[Layer, Any]], most_edges: int, most_entries: int) -> Iterator[tuple[Layer, Any]]:
    """Takes pairs of a layer and its mask until they hold so many kept weights, or so many weights in all."""
    edges = entries = 0
    while edges < most_edges and entries < most_entries:
        pair = next(pairs, None)
        if pair is None:
            return
        yield pair
        edges += kept_weights(pair[1])
        entries += pair[0].size


def _chunk_coordinates(chunk: list[tuple[Layer, np.ndarray]], run: Map) -> list[LayerCoordinate]:
    prepared = list(run(_prepared, chunk))
    found = {key: KNOWN_LAYERS.get(key) for key, _ in prepared}
    new = {key: spectrum for key, spectrum in prepared if found[key] is None}
    matrices = {key: spectrum.matrices() for key, spectrum in new.items()}
    sigmas = two_largest_of([matrix for those in matrices.values() for matrix in those], run)
    at = 0
    for key, spectrum in new.items():
        behind = at + len(matrices[key])
        found[key] = spectrum.coordinate(sigmas[at:behind])
        KNOWN_LAYERS.put(key, found[key])
        at = behind
    return [found[key] for key, _ in prepared]


def _prepared(pair: tuple[Layer, np.ndarray]) -> tuple[tuple, LayerSpectrum]:
    """The spectrum that a layer asks for, under a key of everything that it depends on."""
    layer, mask = pair
    graph = bipartite_graph(mask, layer.weights, layer.groups, layer.inputs_first)
    weighted = layer.weights is not None
    parts = (graph.starts, graph.ends, graph.magnitudes) if isinstance(graph, Biadjacency) else (graph.weights,)
    content = tuple((part.shape, fingerprint(part)) for part in parts if part is not None)
    key = graph.left, graph.right, graph.full_left, graph.full_right, layer.size, weighted, content
    return key, LayerSpectrum(graph, layer.size, weighted)


@contextmanager
def _pool(threads: int) -> Iterator[Map]:
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map
