"""The distribution that a trial's candidates are drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict


class DistributionValues(TypedDict):
    """The values of a distribution in JSON."""

    source: str
    temperature: float | None
    """None for an infinite one."""
    batch_seed: int
    theta: dict[str, float]
    allocation: str


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

    def to_dict(self) -> DistributionValues:
        """Return the values of the distribution for JSON."""
        return {
            "source": self.source,
            "temperature": None if math.isinf(self.temperature) else self.temperature,
            "batch_seed": self.batch_seed,
            "theta": dict(self.theta),
            "allocation": self.allocation,
        }

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
