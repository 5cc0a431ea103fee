"""Spectral ascent: swaps of edges that raise a layer's term of an objective, and keep every degree."""

import numpy as np

from .cache import SpectralCache
from .coordinate import full_spectra
from .objectives import Objective
from .slopes import Slopes
from .variants import PAPER, VARIANTS

#: Steps at most. Measured on ResNet-20: twice as many add about a tenth to the gain.
STEPS = 24

#: Steps in a row in which no single swap was a gain, after which the mask is taken for a local optimum.
PATIENCE = 3

#: Pairs of edges that are looked at in a step. Measured: four times as many gain no more on ResNet-20, and a quarter as
#: many lose a tenth.
PROPOSALS = 2**12

#: The first batch swaps two in this many edges.
FIRST_BATCH = 32

#: Masks that are scored exactly in a step.
TRIALS = 4

#: A smaller rise may be rounding, and another one on another machine.
RISE = 1e-6


def ascend(
    name: str,
    mask: np.ndarray,
    weights: np.ndarray,
    objective: Objective,
    seed: int,
    groups: int = 1,
    inputs_first: bool = False,
    cache: SpectralCache | None = None,
    variant: str = PAPER.name,
) -> np.ndarray:
    """Return a mask of the same degrees on both sides, in every group, whose term of `objective` is at least as high.

    Edges (i, j) and (k, l) become (i, l) and (k, j) where these are free. A step looks at random pairs, seeded, and
    takes those of the largest gain to first order (`Slopes`) as a batch; it scores the batch and parts of it exactly,
    and goes on with the best of these if its term rose. A function of the arguments alone, it returns the mask itself
    where no component of the term is defined, or no swap raises it.
    Degrees bound the gain: they fix the Ramanujan bound, and nearly σ₁. The distance from the origin also grows with a
    Δr far *below* 0, and the ascent climbs there too.

    `mask`, `weights`, `groups` and `inputs_first` are as in `bipartite_graph`; `name` is the layer's, by which the
    objective's random reference is drawn. `cache` is as in `full_spectra`, and so is `variant`, which is the
    objective's own where it has one.
    """
    cache, variant = cache or SpectralCache(), objective.variant or variant

    def scored(masks: list[np.ndarray]) -> list[tuple[float, np.ndarray]]:
        # On one thread: a layer is small, and its masks are few.
        coordinates = full_spectra(
            [{name: one} for one in masks],
            {name: weights},
            {name: groups},
            (name,) if inputs_first else (),
            variant=variant,
            threads=1,
            cache=cache,
        )
        return [(objective.terms(one)[name], objective.gradients(one)[name]) for one in coordinates]

    generator = np.random.default_rng(seed)
    slopes = Slopes(mask, weights, groups, inputs_first, VARIANTS[variant])
    [(value, gradient)] = scored([mask])
    batch, failures = max(1, int(mask.sum()) // FIRST_BATCH), 0
    for _ in range(STEPS):
        if not gradient.any():
            break
        slopes.follow(np.flatnonzero(mask), gradient)
        removed, added = _swaps(mask, slopes, groups, TRIALS * batch, generator)
        parts = _parts(batch)
        trials = [_swapped(mask, removed[part], added[part]) for part in parts]
        results = scored(trials)
        best = int(np.argmax([-np.inf if np.isnan(term) else term for term, _ in results]))
        if results[best][0] > value + RISE * abs(value):
            mask, (value, gradient) = trials[best], results[best]
            batch, failures = 2 * (parts[best].stop - parts[best].start), 0
            continue
        failures += batch == 1
        if failures == PATIENCE:
            break
        batch = max(1, batch >> TRIALS)
    return mask


def _parts(batch: int) -> list[slice]:
    """Return the batch, its better half, and so on, then single swaps: as many as are scored in a step."""
    halves = [slice(0, batch >> halvings) for halvings in range(batch.bit_length())][:TRIALS]
    return halves + [slice(number, number + 1) for number in range(1, 1 + TRIALS - len(halves))]


def _swapped(mask: np.ndarray, removed: np.ndarray, added: np.ndarray) -> np.ndarray:
    swapped = mask.copy()
    swapped.reshape(-1)[removed] = False
    swapped.reshape(-1)[added] = True
    return swapped


def _swaps(
    mask: np.ndarray, slopes: Slopes, groups: int, most: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return swaps that gain to first order, the best first: flat positions that lose an edge and that get one.

    Each is of shape (swaps, 2). No swap has a position in common with another; there are about `most` at most.
    """
    cells, width = mask.reshape(-1), mask[0].size
    kept = np.flatnonzero(cells)
    # Both edges of a swap are of one group, whose edges are a slice of all.
    group = kept // (cells.size // groups)
    counts = np.bincount(group, minlength=groups)
    first = generator.integers(len(kept), size=PROPOSALS)
    its = group[first]
    second = (np.cumsum(counts) - counts)[its] + (generator.random(PROPOSALS) * counts[its]).astype(int)
    one, other = kept[first], kept[second]
    crossed = np.stack([one - one % width + other % width, other - other % width + one % width], axis=1)
    free = ~cells[crossed].any(axis=1)
    pairs, crossed = np.stack([first, second], axis=1)[free], crossed[free]
    gains = slopes(crossed).sum(axis=1) - slopes(kept)[pairs].sum(axis=1)
    order = np.argsort(-gains, kind="stable")[: 2 * most]
    order = order[gains[order] > 0]
    removed, added = kept[pairs[order]], crossed[order]
    apart = _first_claims(removed) & _first_claims(added)
    return removed[apart], added[apart]


def _first_claims(positions: np.ndarray) -> np.ndarray:
    """Return which rows hold positions that no earlier row holds."""
    first = np.zeros(positions.size, dtype=bool)
    first[np.unique(positions, return_index=True)[1]] = True
    return np.asarray(first.reshape(positions.shape).all(axis=1))
