"""How a global sparsity is shared among layers: exact integer counts of kept weights."""

from collections.abc import Callable, Mapping

import numpy as np

from .layers import AllocationError, Layers, budget
from .registry import ALLOCATIONS
from .share import Scores, Share, none_given

__all__ = ["AllocationError", "Layers", "allocate", "budget"]


def allocate(
    layers: Layers,
    sparsity: float,
    base: str = "erk",
    theta: Mapping[str, float] | None = None,
    scores: Callable[[], Scores] = none_given,
    weights: Callable[[], Scores] = none_given,
) -> dict[str, int]:
    """Return the kept weights of each layer, as integers that sum to the budget of `sparsity` exactly.

    Layer densities are proportional to those of the allocation `base` times exp(theta[layer]) (0 where absent), scaled
    to the budget between the floors of the layers and their sizes. `scores` and `weights` are what an allocation may
    rank, see `Share`. Layers that are kept whole need none, and the budget of the others is what that leaves.

    Raises InputError for an unknown base, AllocationError for densities that are none and for a budget below the
    floors, naming the highest sparsity.
    """
    sizes = Share(layers.shapes, 0).sizes
    kept = budget(layers.shapes, sparsity)
    least = np.array(list(layers.floors().values()), dtype=np.int64)
    if kept < least.sum():
        raise _below_the_floors(layers, sparsity, kept, sizes, least)
    names = list(layers.shapes)
    whole = np.array([name in layers.dense for name in names])
    density = np.ones(len(names))
    if not whole.all():
        free = {name: tuple(layers.shapes[name]) for name in names if name not in layers.dense}
        density[~whole] = _densities(base, Share(free, kept - int(sizes[whole].sum()), scores, weights))
    factor = np.exp([(theta or {}).get(name, 0.0) for name in names])
    return dict(zip(names, _fill(density * factor * sizes, least, sizes, kept).tolist(), strict=True))


def _below_the_floors(
    layers: Layers, sparsity: float, kept: int, sizes: np.ndarray, least: np.ndarray
) -> AllocationError:
    highest = int(sizes.sum() - least.sum()) * 10**6 // int(sizes.sum()) / 10**6
    dense = sum(name in layers.dense for name in layers.shapes)
    note = f", {dense} kept whole by keep_dense" if dense else ""
    return AllocationError(
        f"sparsity {sparsity:g} keeps {kept:,} of {sizes.sum():,} weights, but the layers need {least.sum():,} "
        f"(min_kept_per_output = {layers.min_kept_per_output:g}{note}); "
        f"the highest sparsity that can be met is {highest:g}"
    )


def _densities(base: str, share: Share) -> np.ndarray:
    """Return the densities of an allocation, up to a factor. Raises AllocationError where they are none."""
    found = np.asarray(ALLOCATIONS.find(base)(share))
    if found.shape != (len(share.shapes),) or not (np.isfinite(found) & (found >= 0)).all() or not found.any():
        raise AllocationError(
            f'allocation "{base}" must give {len(share.shapes)} layers finite densities >= 0 that are not all 0, '
            f"but gave {np.array2string(found, threshold=8, separator=', ')}"
        )
    return found


def _fill(shares: np.ndarray, floors: np.ndarray, sizes: np.ndarray, kept: int) -> np.ndarray:
    """Return integers between floors and sizes that sum to `kept`, as nearly proportional to `shares` as these allow.

    Clipping a layer at a bound changes what is left for the others, so the scale is found on the clipped sum, which
    grows with it (water filling).
    """
    # A layer with share 0 (a ranking that keeps nothing of it) still takes what the others cannot hold.
    shares = np.maximum(shares, 1e-12 * shares.max())
    low, high = 0.0, float((sizes / shares).max())
    for _ in range(200):
        scale = (low + high) / 2
        if np.clip(scale * shares, floors, sizes).sum() < kept:
            low = scale
        else:
            high = scale
    exact = np.clip(high * shares, floors, sizes)
    counts = np.floor(exact).astype(np.int64)
    # Largest remainder first; ties broken by index, so that the counts are the same everywhere.
    order = np.argsort(-(exact - counts), kind="stable")
    for step in (1, -1):
        while (missing := (kept - counts.sum()) * step) > 0:
            room = (sizes - counts if step > 0 else counts - floors)[order] > 0
            counts[order[room][:missing]] += step
    return counts
