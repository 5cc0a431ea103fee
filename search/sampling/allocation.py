"""How a global sparsity is shared among layers: exact integer counts of kept weights."""

import math
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ...models.errors import InputError, nearest

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
BASES = (*FORMULAS, "igq", "lamp", "global")


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
    between the `floors` and the layer's size. `base` is "uniform", "er", "erk", "igq", "lamp", or "global". The last
    two rank `scores` over the whole network: "global" those of a source as they are, "lamp" the absolute initial
    weights by their LAMP scores. Layers in `dense` are kept whole, and the budget of the others is what that leaves;
    they need no scores.

    Raises AllocationError for an unknown base and for a budget below the floors, naming the highest sparsity.
    """
    names = list(shapes)
    sizes = np.array([math.prod(shapes[name]) for name in names], dtype=np.int64)
    least = np.array(list(floors(shapes, min_kept_per_output, outputs, dense).values()), dtype=np.int64)
    whole = np.array([name in dense for name in names])
    kept = budget(shapes, sparsity)
    if kept < least.sum():
        highest = int(sizes.sum() - least.sum()) * 10**6 // int(sizes.sum()) / 10**6
        raise AllocationError(
            f"sparsity {sparsity:g} keeps {kept:,} of {sizes.sum():,} weights, but the layers need {least.sum():,} "
            f"(min_kept_per_output = {min_kept_per_output:g}{_dense_note(whole)}); "
            f"the highest sparsity that can be met is {highest:g}"
        )
    density = np.ones(len(names))
    free = {name: tuple(shapes[name]) for name in names if name not in dense}
    if free:
        density[~whole] = _densities(base, free, sizes[~whole], kept - int(sizes[whole].sum()), scores)
    factor = np.exp([(theta or {}).get(name, 0.0) for name in names])
    return dict(zip(names, _fill(density * factor * sizes, least, sizes, kept).tolist(), strict=True))


def floors(
    shapes: Shapes, min_kept_per_output: float, outputs: Mapping[str, int] | None = None, dense: Collection[str] = ()
) -> dict[str, int]:
    """The least kept weights of each layer: `min_kept_per_output` an output on average, one a layer, all of `dense`.

    `outputs` says how many outputs the layers have whose first axis is not the output (embeddings, transposed
    convolutions).
    """
    outputs = {name: shape[0] for name, shape in shapes.items()} | dict(outputs or {})
    least = {}
    for name, shape in shapes.items():
        size = math.prod(shape)
        least[name] = size if name in dense else min(size, max(1, math.ceil(min_kept_per_output * outputs[name])))
    return least


def _dense_note(whole: np.ndarray) -> str:
    return f", {int(whole.sum())} kept whole by keep_dense" if whole.any() else ""


def _densities(base: str, shapes: Shapes, sizes: np.ndarray, kept: int, scores: Scores | None) -> np.ndarray:
    """The densities that `base` gives layers which keep `kept` weights together; those of a formula, up to a factor."""
    if base in FORMULAS:
        return np.array([FORMULAS[base](shape) for shape in shapes.values()])
    if base == "igq":
        return _ideal_gas_quotas(sizes, kept)
    if base not in BASES:
        raise AllocationError(f"unknown allocation {base!r}{nearest(base, BASES)}; expected one of {', '.join(BASES)}")
    if scores is None:
        raise AllocationError(f'allocation "{base}" ranks the scores of a source, but no scores were given')
    ranked = [np.ravel(scores[name]) for name in shapes]
    return _ranked_densities([_lamp(values) for values in ranked] if base == "lamp" else ranked, sizes, kept)


def _ideal_gas_quotas(sizes: np.ndarray, kept: int) -> np.ndarray:
    """Densities 1 / (F n + 1) of layers of n weights, with the F that keeps `kept` weights in all.

    Ideal Gas Quotas of Vysogorets and Kempe ("Connectivity Matters", JMLR 2023): each layer is a cylinder of gas as
    long as its weights are many and of unit volume, and all are compressed by the same force F.
    """
    # A layer keeps less than 1 / F, all layers less than their number / F.
    low, high = 0.0, len(sizes) / max(kept, 1)
    for _ in range(200):
        force = (low + high) / 2
        if (sizes / (force * sizes + 1)).sum() > kept:
            low = force
        else:
            high = force
    return 1 / (high * sizes + 1)


def _lamp(magnitudes: np.ndarray) -> np.ndarray:
    """The LAMP scores of a layer's weights (Lee et al., ICLR 2021, equation 4).

    The square of a weight over the sum of the squares of those in its layer that are no smaller: what survives of the
    layer when the weight's turn comes to be removed.
    """
    squares = magnitudes.astype(np.float64) ** 2
    order = np.argsort(-squares, kind="stable")
    surviving = np.cumsum(squares[order])
    scores = np.zeros_like(squares)
    # A layer that starts at zero scores zero.
    scores[order] = np.divide(squares[order], surviving, out=np.zeros_like(squares), where=surviving > 0)
    return scores


def _ranked_densities(scores: list[np.ndarray], sizes: np.ndarray, kept: int) -> np.ndarray:
    """Each layer's share of the `kept` highest scores of the whole network; ties broken by layer and index."""
    best = np.argsort(-np.concatenate(scores), kind="stable")[:kept]
    counts = np.bincount(np.repeat(np.arange(len(sizes)), sizes)[best], minlength=len(sizes))
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
