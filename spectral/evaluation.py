"""The coordinates of many layers, over the process's cores, each distinct layer once."""

import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .biadjacency import Biadjacency, bipartite_graph
from .cache import LruCache, SpectralCache
from .fingerprint import fingerprint
from .layer import LayerSpectrum, ScoredLayer
from .masked import MaskedLayer, chunk_of, kept_weights
from .singular import Map, Matrix, two_largest_of

#: Layers are taken up together until they hold this many kept weights: bounds the memory, and fills the batches.
CHUNK_EDGES = 2**20

#: Or until they have this many weights, kept or not.
CHUNK_ENTRIES = 2**26

#: With fewer kept weights than this, threads wait for each other longer than they compute.
PARALLEL_EDGES = 2**17


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def layer_coordinates(
    masked: Iterable[MaskedLayer],
    threads: int,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
) -> Iterator[ScoredLayer]:
    """Yield what is computed of each layer under its mask, both numpy arrays, in order.

    Pairs are taken from `masked` as they are needed, so that masks may be drawn one by one. The values depend neither
    on `threads` nor on `cache`, where graphs that were seen before are found; by default it lasts for this call.
    `progress` is called with the name of each layer that is done.
    """
    pairs, known = iter(masked), (cache or SpectralCache()).layers
    with _pool(threads) as parallel:
        while chunk := list(chunk_of(pairs, CHUNK_EDGES, CHUNK_ENTRIES)):
            run = parallel if sum(kept_weights(mask) for _, mask in chunk) >= PARALLEL_EDGES else map
            for (layer, _), coordinate in zip(chunk, _chunk_coordinates(chunk, run, known), strict=True):
                if progress:
                    progress(layer.name)
                yield coordinate


def _chunk_coordinates(chunk: list[MaskedLayer], run: Map, known: LruCache[ScoredLayer]) -> list[ScoredLayer]:
    prepared = list(run(_prepared, chunk))
    found = {key: one for key, _ in prepared if (one := known.get(key)) is not None}
    new = {key: spectrum for key, spectrum in prepared if key not in found}
    matrices = {key: spectrum.matrices() for key, spectrum in new.items()}
    sigmas = two_largest_of([matrix for those in matrices.values() for matrix in those], run)
    at = 0
    for key, spectrum in new.items():
        behind = at + len(matrices[key])
        found[key] = spectrum.scored(sigmas[at:behind])
        known.put(key, found[key])
        at = behind
    return [found[key] for key, _ in prepared]


def _prepared(pair: MaskedLayer) -> tuple[Hashable, LayerSpectrum[Matrix]]:
    """Return the spectrum that a layer asks for, under a key of everything that it depends on."""
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
