"""What Optuna steers: the source, its temperature and batch, the allocation, and the searched training settings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from ...models.seeds import derive
from ..config import Study
from ..searchable import Choices, Range
from ..sources import source
from .samplers import PER_SOURCE


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


def source_of(study: Study, number: int) -> str:
    """The source of trial `number`, drawn uniformly; empty where the sampler itself chooses the source."""
    if study.search.sampler not in PER_SOURCE:
        return ""
    sources = study.search.sources
    return sources[derive(study.seed, "source", number) % len(sources)]


def suggest_mask(trial: optuna.trial.Trial, study: Study, names: Sequence[str]) -> MaskDistribution:
    """Asks Optuna for the distribution of one trial over the prunable parameters `names`."""
    name = trial.suggest_categorical("source", study.search.sources)
    scorer = source(name)
    temperature = scorer.default_temperature
    if scorer.searches_temperature:
        temperature = _suggest(trial, "temperature", study.search.temperature)
    batch_seed = 0
    if scorer.data_driven and study.search.batches > 1:
        batch_seed = trial.suggest_int("batch_seed", 0, study.search.batches - 1)
    bound = study.search.theta_range
    theta = {group: trial.suggest_float(f"theta/{group}", -bound, bound) for group in groups(names, study.search.theta)}
    allocation = _suggest(trial, "allocation", study.search.allocation)
    return MaskDistribution(name, temperature, batch_seed, theta, allocation)


def suggest_training(trial: optuna.trial.Trial, study: Study) -> dict[str, Any]:
    """Asks Optuna for the searched training settings, by name."""
    return {name: _suggest(trial, name, setting) for name, setting in study.training.searched().items()}


def _suggest(trial: optuna.trial.Trial, name: str, setting: Any) -> Any:
    match setting:
        case Range():
            return trial.suggest_float(name, setting.low, setting.high, log=setting.log)
        case Choices():
            return trial.suggest_categorical(name, setting.choices)
    return setting


def layer_theta(study: Study, names: Sequence[str], theta: Mapping[str, float]) -> dict[str, float]:
    """Theta of every layer from the thetas of the groups; a group that is not named has theta 0."""
    return {name: theta.get(key, 0.0) for key, members in groups(names, study.search.theta).items() for name in members}
