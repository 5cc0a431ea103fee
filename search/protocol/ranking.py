"""A ranking of masks: a linear combination of their recorded scores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from ..files import JsonObject

#: The group of masks whose group has no level of its own.
OTHERS = ""


@dataclass(frozen=True)
class Term:
    """The part of one score in a ranking."""

    weight: float
    """What one standard deviation of the score within a group is worth, in standard deviations of accuracy's rank."""
    scale: float
    """The standard deviation of the score within a group, > 0."""
    centre: float = 0.0
    """The score that counts 0, and so does a score that is undefined."""

    @property
    def slope(self) -> float:
        """The weight of the plain score."""
        return self.weight / self.scale


@dataclass(frozen=True)
class Ranking:
    """A score of few parameters, in plain values, so that a proposal carries it and the ledger keeps it.

    Values of masks of one group differ as the ranks of their accuracies in it are expected to, in standard deviations
    of such ranks.
    """

    terms: Mapping[str, Term]
    """The parts of scores, by the names that a study's `objective` takes."""
    masks: int = 0
    """Masks of the study itself that it was fitted to; 0 where it comes with the package."""
    level: float = 0.0
    """The value of a mask all of whose scores are at their centres."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """The levels of groups of masks, that of all others as `OTHERS`."""

    def within(self, group: str) -> Self:
        """Return the ranking of masks of a group: at its own level, or that of others; without any as it is."""
        return replace(self, level=self.levels.get(group, self.levels.get(OTHERS, self.level)))

    def value(self, scores: Mapping[str, float]) -> float:
        """Return the combination of `scores`; one that is undefined or missing counts 0. Nan where all of them are."""
        known = {name: scores[name] for name in self.terms if math.isfinite(scores.get(name, math.nan))}
        parts = [self.terms[name].slope * (score - self.terms[name].centre) for name, score in known.items()]
        return math.fsum([self.level, *parts]) if parts else math.nan

    def to_dict(self) -> JsonObject:
        """Return the ranking as it is kept."""
        terms = {name: {"weight": t.weight, "scale": t.scale, "centre": t.centre} for name, t in self.terms.items()}
        return {"masks": self.masks, "terms": terms, "level": self.level, "levels": dict(self.levels)}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the ranking of `to_dict`'s values."""
        terms = {name: Term(**term) for name, term in kept["terms"].items()}
        return cls(terms, kept["masks"], kept["level"], kept["levels"])
