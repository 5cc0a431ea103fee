"""The composed candidate: each layer's mask from the draw in which that layer scored best."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...models.masks import MaskSet
from ...spectral.objectives import Objective
from ..sampling.draw import top_k
from .candidate import Candidate, layer_seed


class Composition:
    """The best mask of each layer among the candidates that were added.

    The layers of a draw are independent of one another. Where the objective is a sum over layers, as the distance is,
    the best of n draws in each layer is the best of the n ** layers mask sets that can be put together from n draws.
    Where it is a mean over the layers that define it, that holds only while the same layers do; a composed mask set is
    therefore a candidate beside the others, chosen where it scores higher, and never in place of them.

    With several objectives a layer is exchanged, one draw after the other, where the terms of none of them fall and
    that of one grows: so the paper's authors recombine layers, by Δr_imdb and the norm.
    """

    def __init__(self, objectives: Sequence[Objective]):
        self._objectives = objectives
        self._best: dict[str, list[float]] = {}
        self._masks: dict[str, np.ndarray] = {}
        self._seen: set[str] = set()
        self.seeds: dict[str, int] = {}
        """The seed of the draw that each layer is taken from."""

    def add(self, candidate: Candidate) -> None:
        """Take each layer in which a candidate scores higher than all before; of a rejected candidate, none.

        A term that is undefined counts 0, as in the distance.
        """
        self._seen.add(candidate.digest)
        if candidate.coordinate is None:
            return
        terms = [objective.terms(candidate.coordinate) for objective in self._objectives]
        for name, mask in candidate.masks.items():
            found = [0.0 if math.isnan(each[name]) else each[name] for each in terms]
            if name not in self._best or _higher(found, self._best[name]):
                self._best[name], self.seeds[name] = found, layer_seed(candidate.seed, name)
                self._masks[name] = mask

    def masks(self, counts: Mapping[str, int], scores: Mapping[str, np.ndarray]) -> MaskSet | None:
        """Return the composed mask set at exactly `counts`, as `at_counts`; None where it is one that was added."""
        if not self._masks:
            return None
        composed = at_counts(self._masks, counts, scores)
        return None if composed.digest() in self._seen else composed


def _higher(found: list[float], best: list[float]) -> bool:
    """Return whether no term falls and one grows."""
    return found != best and all(new >= old for new, old in zip(found, best, strict=True))


def at_counts(masks: Mapping[str, np.ndarray], counts: Mapping[str, int], scores: Mapping[str, np.ndarray]) -> MaskSet:
    """Return the masks with exactly `counts` weights in each layer.

    Layers that were repaired may keep more or fewer: the kept weights of the lowest `scores` are removed, or the
    removed ones of the highest are added. Ties break by index.
    """
    return MaskSet({name: _at_count(mask, counts[name], scores.get(name)) for name, mask in masks.items()})


def _at_count(mask: np.ndarray, count: int, scores: np.ndarray | None) -> np.ndarray:
    kept = np.flatnonzero(mask)
    if len(kept) == count:
        return mask
    assert scores is not None, "a layer without scores is kept whole, and never repaired"
    exact = np.zeros(mask.size, dtype=bool)
    if len(kept) > count:
        exact[kept[top_k(np.ravel(scores)[kept], count)]] = True
    else:
        removed = np.flatnonzero(~np.ravel(mask))
        exact[kept] = True
        exact[removed[top_k(np.ravel(scores)[removed], count - len(kept))]] = True
    return exact.reshape(mask.shape)
