"""What Optuna steers: the source, its temperature and batch, the allocation, and the searched training settings."""

from collections.abc import Sequence
from typing import Any

import optuna

from ...models.seeds import derive
from ..config.searchable import Choices, Range
from ..config.study import Study
from ..sampling.distribution import MaskDistribution, groups
from ..sources import source
from .samplers import PER_SOURCE


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
