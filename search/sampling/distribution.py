"""The distribution that a trial's candidates are drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict


class DistributionValues(TypedDict):
    """The values of a distribution in JSON."""

    source: str
    temperature: float | None
    """None for an infinite one."""
    batch_seed: int
    theta: dict[str, float]
    allocation: str
    pretraining: NotRequired[int]
    rounds: NotRequired[int]
    round_iterations: NotRequired[int]


class Group(NamedTuple):
    """The trials whose scores can be compared: they have one source, one pretraining and one base of allocation."""

    source: str
    pretraining: int
    allocation: str

    def __str__(self) -> str:
        return f"{self.source}, k = {self.pretraining}, {self.allocation}"


@dataclass(frozen=True)
class MaskDistribution:
    """The distribution of a trial's candidates, in plain values, so that it can be recorded."""

    source: str
    temperature: float
    """Gumbel temperature, >= 0; infinity is uniform."""
    batch_seed: int
    """Number of the batch for a data-driven source, in [0, search.batches)."""
    theta: dict[str, float]
    """Log-density factor of each group of layers, |theta| <= search.theta_range."""
    allocation: str = "erk"
    """Base of the layerwise sparsity."""
    pretraining: int = 0
    """Dense iterations before masks are chosen: the source scores the weights that they end at."""
    rounds: int | None = None
    """Rounds of a source that removes weights in rounds; None: its own number, or no rounds."""
    round_iterations: int | None = None
    """Iterations of each round of a source that trains; None: it does not train."""

    @property
    def group(self) -> Group:
        """The group of trials that it belongs to."""
        return Group(self.source, self.pretraining, self.allocation)

    def to_dict(self) -> DistributionValues:
        """Return the values of the distribution for JSON; what does not apply is left out."""
        values: DistributionValues = {
            "source": self.source,
            "temperature": None if math.isinf(self.temperature) else self.temperature,
            "batch_seed": self.batch_seed,
            "theta": dict(self.theta),
            "allocation": self.allocation,
        }
        if self.pretraining:
            values["pretraining"] = self.pretraining
        if self.rounds is not None:
            values["rounds"] = self.rounds
        if self.round_iterations is not None:
            values["round_iterations"] = self.round_iterations
        return values

    @classmethod
    def from_dict(cls, values: DistributionValues) -> "MaskDistribution":
        """Return the distribution of `to_dict`'s values."""
        temperature = values["temperature"]
        return cls(
            values["source"],
            math.inf if temperature is None else temperature,
            values["batch_seed"],
            values["theta"],
            values["allocation"],
            values.get("pretraining", 0),
            values.get("rounds"),
            values.get("round_iterations"),
        )


def groups(names: Sequence[str], theta: str) -> dict[str, list[str]]:
    """Return the layers that share one theta: each alone ("layer"), by first part of the name ("stage"), or none."""
    if theta == "none":
        return {}
    grouped: dict[str, list[str]] = {}
    for name in names:
        key = name.removesuffix(".weight") if theta == "layer" else name.split(".")[0]
        grouped.setdefault(key, []).append(name)
    return grouped


def layer_theta(names: Sequence[str], mode: str, theta: Mapping[str, float]) -> dict[str, float]:
    """Return theta of every layer from the thetas of the groups of `mode`; a group that is not named has theta 0."""
    return {name: theta.get(key, 0.0) for key, members in groups(names, mode).items() for name in members}
