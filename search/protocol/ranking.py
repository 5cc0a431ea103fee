"""A ranking of masks: a linear combination of their recorded scores."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ..files import JsonObject


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

    Its value is an estimate of the rank of a mask's accuracy among masks of its group, in standard deviations.
    """

    terms: Mapping[str, Term]
    """The parts of scores, by the names that a study's `objective` takes."""
    masks: int = 0
    """Masks of the study itself that it was fitted to; 0 where it comes with the package."""

    def value(self, scores: Mapping[str, float]) -> float:
        """Return the combination of `scores`; one that is undefined or missing counts 0. Nan where all of them are."""
        known = {name: scores[name] for name in self.terms if math.isfinite(scores.get(name, math.nan))}
        parts = [self.terms[name].slope * (score - self.terms[name].centre) for name, score in known.items()]
        return math.fsum(parts) if parts else math.nan

    def to_dict(self) -> JsonObject:
        """Return the ranking as it is kept."""
        terms = {name: {"weight": t.weight, "scale": t.scale, "centre": t.centre} for name, t in self.terms.items()}
        return {"masks": self.masks, "terms": terms}

    @classmethod
    def from_dict(cls, kept: JsonObject) -> Self:
        """Return the ranking of `to_dict`'s values."""
        return cls({name: Term(**term) for name, term in kept["terms"].items()}, kept["masks"])
