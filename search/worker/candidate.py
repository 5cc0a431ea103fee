"""A candidate: one sampled mask set with its place in the coordinate system."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...models.masks import MaskSet
from ...spectral.coordinate import FIELDS, Coordinate
from ..files import JsonObject
from ..guards.connectivity import Connectivity
from ..names import Metric
from ..scores.registry import SCORES

#: What draws a mask set: one seed for all layers, or, where it is composed of several draws, one for each layer; as
#: numbers, or in digits as `seed_text` returns it.
Seed = int | str | Mapping[str, int | str]


def layer_seed(seed: Seed, name: str) -> int:
    """Return the seed that draws the mask of the layer called `name`."""
    return int(seed[name] if isinstance(seed, Mapping) else seed)


def seed_text(seed: Seed) -> str | dict[str, str]:
    """Return a seed as JSON keeps it: in digits, because a browser rounds numbers above 2^53."""
    return {name: str(one) for name, one in seed.items()} if isinstance(seed, Mapping) else str(seed)


@dataclass(frozen=True)
class Candidate:
    """One sampled mask set with its place in the coordinate system."""

    seed: Seed
    masks: MaskSet
    digest: str
    connectivity: Connectivity
    coordinate: Coordinate | None
    """None where the guard rejected the mask."""
    score: float | None
    """The study's objective, nan where no layer defines it; None where the guard rejected the mask."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Every objective by name, nan where no layer defines it; empty where the guard rejected the mask."""
    repaired: int = 0
    """Kept weights that were moved to repair what was drawn."""

    def row(self) -> JsonObject:
        """Return its row in `candidates.json`: seed, digest, scores, coordinate of every layer (null: undefined).

        The coordinate is in the `variant` of that name.
        """
        layers = {}
        if self.coordinate is not None:
            table = self.coordinate.to_dict()
            layers = {name: {field: values[field] for field in FIELDS} for name, values in table.items()}
        return {
            "seed": seed_text(self.seed),
            "digest": self.digest,
            "objective": self.score,
            "variant": self.coordinate.variant if self.coordinate else None,
            **{name: self.scores.get(name) for name in SCORES},
            "rejected": self.connectivity.fault,
            "repaired": self.repaired,
            "cut": list(self.connectivity.cut),
            Metric.EFFECTIVE_SPARSITY: self.connectivity.effective_sparsity,
            "effective_sparsity_estimated": self.connectivity.estimated,
            Metric.DEAD_CHANNELS: self.connectivity.dead_channels,
            Metric.EMPTY_CHANNELS: self.connectivity.empty_channels,
            Metric.SHORTCUT_COVERAGE: self.connectivity.shortcut_coverage,
            "defined_layers": self.coordinate.defined_layers if self.coordinate else 0,
            "layers": layers,
        }


def better(one: Candidate | None, other: Candidate) -> Candidate | None:
    """Return whichever goes on: the higher score, the first of equals; a rejected candidate never."""
    if other.score is None or not math.isfinite(other.score):
        return one
    return other if one is None or one.score is None or other.score > one.score else one
