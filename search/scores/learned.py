"""The learned score: a linear combination of other scores, fitted to what warm-ups came to."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Self

import numpy as np

from ...spectral.coordinate import FIELDS, Coordinate
from ...spectral.objectives import OBJECTIVES, Objective
from ..protocol.ranking import Ranking

#: The file of the ranking that comes with the package, and how its fit to public data is made again.
SHIPPED = "learned.json"


@dataclass(frozen=True)
class Learned(Objective):
    """A ranking as a score: the sum of its terms, each a slope times another score.

    `parts` are the scores that it combines, by name; those without a term count nothing, and a term without a part is
    undefined and counts 0. With the ranking that comes with the package, it is the same function everywhere.
    """

    ranking: Ranking
    parts: Mapping[str, Objective] = field(default_factory=dict)
    label = "learned score"

    def by(self, ranking: Ranking) -> Self:
        """Return the score by another ranking."""
        return replace(self, ranking=ranking)

    def of(self, parts: Mapping[str, Objective]) -> Self:
        """Return the score that combines these scores, apart from itself and from those of a variant of their own."""
        own = {name: part for name, part in parts.items() if part.variant is None and not isinstance(part, Learned)}
        return replace(self, parts=own)

    def terms(self, coordinate: Coordinate) -> dict[str, float]:
        """Return each layer's part in the score; nan where no part of it is defined. Their sum differs by a constant.

        A part that is a mean over the layers that define it counts for a layer as much as it does in the mean.
        """
        found = dict.fromkeys(coordinate.layers, math.nan)
        for slope, part, share in self._shares(coordinate):
            for name, term in part.terms(coordinate).items():
                if not math.isnan(term):
                    found[name] = slope * share * term + (0.0 if math.isnan(found[name]) else found[name])
        return found

    def gradients(self, coordinate: Coordinate) -> dict[str, np.ndarray]:
        """Return the sum of the gradients of the parts, 0 where none is defined."""
        found = {name: np.zeros(len(FIELDS)) for name in coordinate.layers}
        for slope, part, share in self._shares(coordinate):
            for name, gradient in part.gradients(coordinate).items():
                found[name] += slope * share * gradient
        return found

    def value(self, coordinate: Coordinate) -> float:
        """Return the value of the ranking; nan where none of its scores is defined."""
        return self.ranking.value({name: part.value(coordinate) for name, _, part in self._combined()})

    def _combined(self) -> Iterable[tuple[str, float, Objective]]:
        """Yield the name, the slope and the score of each term."""
        for name, term in self.ranking.terms.items():
            if name in self.parts:
                yield name, term.slope, self.parts[name]

    def _shares(self, coordinate: Coordinate) -> Iterable[tuple[float, Objective, float]]:
        """Yield slope and score of each term, and what a layer's part is multiplied by so that the parts add up."""
        for _, slope, part in self._combined():
            terms = [term for term in part.terms(coordinate).values() if not math.isnan(term)]
            total, value = math.fsum(terms), part.value(coordinate)
            if terms and math.isfinite(value):
                # A sum over layers, or a mean over those that define it.
                yield slope, part, 1.0 if math.isclose(total, value, rel_tol=1e-9) else 1 / len(terms)


@cache
def shipped() -> Ranking:
    """Return the ranking that comes with the package: fitted to public data, as its file says."""
    return Ranking.from_dict(json.loads((resources.files(__package__) / SHIPPED).read_text()))


#: By the ranking that comes with the package.
LEARNED = Learned(shipped()).of(OBJECTIVES)
