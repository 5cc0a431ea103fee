"""The baselines that a mask must beat: random masks, and the mask itself with one of its choices taken away."""

import math

import numpy as np

from ...models.masks import MaskSet
from ...models.seeds import derive
from ..protocol.label import ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED
from ..sampling.distribution import MaskDistribution
from ..sampling.draw import sample_layer, sample_pattern, top_k
from ..sampling.pattern import pattern_of
from ..worker.workbench import Workbench


def erk_random(bench: Workbench, seed: int) -> MaskSet:
    """Return a random ERK mask at the bench's sparsity. Raises AllocationError where that cannot be met."""
    distribution = MaskDistribution("random", float("inf"), 0, {}, "erk")
    seed = derive(seed, "baseline", ERK_RANDOM)
    return MaskSet(bench.draw(distribution, bench.counts(distribution), seed), bench.metadata(distribution, seed))


def shuffled(masks: MaskSet, seed: int) -> MaskSet:
    """Return the masks with as many weights kept in each layer, drawn uniformly; a layer's N:M pattern stays."""
    seed, pattern = derive(seed, "baseline", SHUFFLED), pattern_of(masks.metadata)
    made: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        flat = np.ones(mask.shape)
        if pattern and pattern.holds(mask):
            made[name] = sample_pattern(name, flat, pattern, math.inf, seed)
        else:
            made[name] = sample_layer(name, flat, int(mask.sum()), math.inf, seed)
    return _described(made, SHUFFLED, masks)


def inverted(bench: Workbench, masks: MaskSet, distribution: MaskDistribution) -> MaskSet | None:
    """Return the masks with as many weights kept in each layer, those of the lowest scores of their source.

    Where the study has an N:M pattern, they are the lowest of each group. None where that source does not rank weights
    by a score that could be inverted.
    """
    if not bench.source(distribution.source).has_saliency:
        return None
    scores = bench.scores(distribution)
    worst: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        if name in bench.dense:
            worst[name] = mask
        elif bench.pattern:
            worst[name] = bench.pattern.top(-scores[name])
        else:
            worst[name] = top_k(-np.ravel(scores[name]), int(mask.sum())).reshape(mask.shape)
    return _described(worst, INVERTED, masks)


def other_weights(seed: int) -> int:
    """Return the seed of the other initial weights that check a mask made for those of `seed`."""
    return derive(seed, "baseline", REINITIALISED)


def _described(made: dict[str, np.ndarray], label: str, masks: MaskSet) -> MaskSet:
    """Return the masks `made` of `masks`: they are for the same network, and no source has drawn them."""
    kept = (
        "model",
        "data",
        "input",
        "classes",
        "init_seed",
        "init_digest",
        "pretraining",
        "groups",
        "inputs_first",
        "pattern",
    )
    metadata = {key: masks.metadata[key] for key in kept if key in masks.metadata}
    return MaskSet(made, metadata | {"source": label, "of": masks.digest()})
