"""How a global sparsity is shared among layers: exact integer counts of kept weights."""

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ..models.errors import InputError, nearest

Shapes = Mapping[str, tuple[int, ...]]
Scores = Mapping[str, np.ndarray]


class AllocationError(InputError):
    """A budget that the layers cannot meet."""


def _uniform(shape: tuple[int, ...]) -> float:
    return 1.0


def _er(shape: tuple[int, ...]) -> float:
    """Erdos-Renyi (Mocanu et al., 2018): density proportional to (n_in + n_out) / (n_in n_out)."""
    outputs, inputs = shape[0], shape[1]
    return (inputs + outputs) / (inputs * outputs)


def _erk(shape: tuple[int, ...]) -> float:
    """Erdos-Renyi-Kernel (Evci et al., ICML 2020): density proportional to sum / product of the dimensions."""
    return sum(shape) / math.prod(shape)


FORMULAS: dict[str, Callable[[tuple[int, ...]], float]] = {"uniform": _uniform, "er": _er, "erk": _erk}
BASES = (*FORMULAS, "global")


def budget(shapes: Shapes, sparsity: float) -> int:
    """The number of weights kept at a global `sparsity` in [0, 1): all of them less the rounded number removed."""
    if not 0 <= sparsity < 1:
        raise AllocationError(f"sparsity {sparsity:g}: expected the fraction of weights removed, in [0, 1)")
    total = sum(math.prod(shape) for shape in shapes.values())
    return total - round(sparsity * total)


def allocate(
    shapes: Shapes,
    sparsity: float,
    base: str = "erk",
    theta: Mapping[str, float] | None = None,
    scores: Scores | None = None,
    min_kept_per_output: float = 1.0,
    outputs: Mapping[str, int] | None = None,
    dense: Collection[str] = (),
) -> dict[str, int]:
    """Kept weights of each layer, as integers that sum to the budget of `sparsity` exactly.

    Layer densities are proportional to the base's times exp(theta[layer]) (0 where absent), scaled to the budget
    between a floor of `min_kept_per_output` weights per output (at least one a layer) and the layer's size. `base` is
    "uniform", "er", "erk", or "global": the densities that a global ranking of `scores` gives. `outputs` says how many
    outputs the layers have whose first axis is not the output (embeddings, transposed convolutions). Layers in `dense`
    are kept whole, and the budget of the others is what that leaves; they need no scores.

    Raises AllocationError for an unknown base and for a budget below the floors, naming the highest sparsity.
    """
    names = list(shapes)
    sizes = np.array([math.prod(shapes[name]) for name in names], dtype=np.int64)
    outputs = {name: shapes[name][0] for name in names} | dict(outputs or {})
    floors = np.array([max(1, math.ceil(min_kept_per_output * outputs[name])) for name in names], dtype=np.int64)
    whole = np.array([name in dense for name in names])
    floors = np.where(whole, sizes, np.minimum(floors, sizes))
    kept = budget(shapes, sparsity)
    if kept < floors.sum():
        highest = math.floor((1 - floors.sum() / sizes.sum()) * 1e6) / 1e6
        raise AllocationError(
            f"sparsity {sparsity:g} keeps {kept:,} of {sizes.sum():,} weights, but the layers need {floors.sum():,} "
            f"(min_kept_per_output = {min_kept_per_output:g}{_dense_note(whole)}); "
            f"the highest sparsity that can be met is {highest:g}"
        )
    if base == "global":
        density = np.ones(len(names))
        ranked = [name for name in names if name not in dense]
        density[~whole] = _global_densities(ranked, sizes[~whole], kept - int(sizes[whole].sum()), scores)
    elif base in FORMULAS:
        density = np.array([FORMULAS[base](tuple(shapes[name])) for name in names])
    else:
        raise AllocationError(f"unknown allocation {base!r}{nearest(base, BASES)}; expected one of {', '.join(BASES)}")
    factor = np.exp([(theta or {}).get(name, 0.0) for name in names])
    return dict(zip(names, _fill(density * factor * sizes, floors, sizes, kept).tolist(), strict=True))


def _dense_note(whole: np.ndarray) -> str:
    return f", {int(whole.sum())} kept whole by keep_dense" if whole.any() else ""


def _global_densities(names: list[str], sizes: np.ndarray, kept: int, scores: Scores | None) -> np.ndarray:
    """Each layer's share of the `kept` highest scores of the whole network; ties broken by layer and index."""
    if scores is None:
        raise AllocationError('allocation "global" ranks the scores of a source, but no scores were given')
    ranked = np.concatenate([np.ravel(scores[name]) for name in names])
    best = np.argsort(-ranked, kind="stable")[:kept]
    counts = np.bincount(np.repeat(np.arange(len(names)), sizes)[best], minlength=len(names))
    return counts / sizes


def _fill(shares: np.ndarray, floors: np.ndarray, sizes: np.ndarray, kept: int) -> np.ndarray:
    """Integers between floors and sizes that sum to `kept`, as nearly proportional to `shares` as the bounds allow.

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
