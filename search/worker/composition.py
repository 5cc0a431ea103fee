"""The composed candidate: each layer's mask from the draw in which that layer scored best."""

import math

import numpy as np

from ...models.masks import MaskSet
from ...spectral.objectives import Objective
from .candidate import Candidate, layer_seed


class Composition:
    """The best mask of each layer among the candidates that were added.

    The layers of a draw are independent of one another. Where the objective is a sum over layers, as the distance is,
    the best of n draws in each layer is the best of the n ** layers mask sets that can be put together from n draws.
    Where it is a mean over the layers that define it, that holds only while the same layers do; a composed mask set is
    therefore a candidate beside the others, chosen where it scores higher, and never in place of them.
    """

    def __init__(self, objective: Objective):
        self._objective = objective
        self._best: dict[str, float] = {}
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
        for name, term in self._objective.terms(candidate.coordinate).items():
            term = 0.0 if math.isnan(term) else term
            if name not in self._best or term > self._best[name]:
                self._best[name], self.seeds[name] = term, layer_seed(candidate.seed, name)
                self._masks[name] = candidate.masks[name]

    def masks(self) -> MaskSet | None:
        """Return the composed mask set; None where it is one of those it is made of."""
        if not self._masks:
            return None
        composed = MaskSet(self._masks)
        return None if composed.digest() in self._seen else composed
