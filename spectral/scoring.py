"""The coordinates of many layers, computed where their arrays lie: on a GPU or on the CPU."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from .arrays import gpu_of
from .cache import SpectralCache
from .evaluation import layer_coordinates
from .layer import ScoredLayer
from .masked import MaskedLayer


def scored(
    masked: Iterable[MaskedLayer],
    threads: int = 1,
    progress: Callable[[str], None] | None = None,
    cache: SpectralCache | None = None,
) -> Iterator[ScoredLayer]:
    """Yield what is computed of each layer under its mask, in order.

    The first layer decides for all: with its weights on a GPU, or without weights its mask, everything is computed
    there, see `gpu.evaluation`; otherwise on `threads` threads of the CPU, with `cache`, see `evaluation`.
    """
    pairs = iter(masked)
    first = list(islice(pairs, 1))
    pairs = chain(first, pairs)
    gpu = gpu_of(mask if layer.weights is None else layer.weights for layer, mask in first)
    if gpu is None:
        yield from layer_coordinates(pairs, threads, progress, cache)
    else:
        from .gpu.evaluation import layer_coordinates_on  # here, as nothing else needs torch

        yield from layer_coordinates_on(gpu, pairs, progress)
