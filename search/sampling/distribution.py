"""The distribution that a trial's candidates are drawn from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class MaskDistribution:
    """The distribution that a trial's candidates are drawn from; plain values, so that it can be recorded."""

    source: str
    temperature: float
    """Gumbel temperature, >= 0; infinity is uniform."""
    batch_seed: int
    """Which batch a data-driven source sees, in [0, search.batches)."""
    theta: dict[str, float]
    """Log-density factor of each group of layers, |theta| <= search.theta_range."""
    allocation: str = "erk"
    """Base of the layerwise sparsity."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values; an infinite temperature is null."""
        values = asdict(self)
        return values | {"temperature": None if math.isinf(self.temperature) else self.temperature}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "MaskDistribution":
        """The distribution of `to_dict`'s values."""
        temperature = values["temperature"]
        return cls(**{**values, "temperature": math.inf if temperature is None else temperature})


def groups(names: Sequence[str], theta: str) -> dict[str, list[str]]:
    """The layers that share one theta: each its own ("layer"), by the first part of the name ("stage"), or none."""
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
