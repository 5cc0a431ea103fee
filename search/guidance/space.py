"""The space that Optuna searches: source, temperature, batch, allocation, and the searched training settings."""

from collections.abc import Sequence
from typing import Any

import optuna

from ..config.searchable import Choices, Range
from ..config.study import Study
from ..config.training import Training
from ..protocol.proposal import Value
from ..sampling.distribution import MaskDistribution, groups
from ..sources import source_called


def suggest_mask(trial: optuna.trial.Trial, study: Study, names: Sequence[str]) -> MaskDistribution:
    """Ask Optuna for the distribution of one trial over the prunable parameters `names`."""
    search = study.search
    name = trial.suggest_categorical("source", search.sources)
    scorer = source_called(name)
    temperature = scorer.default_temperature
    if scorer.searches_temperature:
        temperature = _suggest(trial, "temperature", search.temperature)
    batch_seed = 0
    if scorer.data_driven and search.batches > 1:
        batch_seed = trial.suggest_int("batch_seed", 0, search.batches - 1)
    rounds = iterations = None
    if scorer.default_rounds:
        rounds = scorer.default_rounds if search.rounds is None else _suggest(trial, "rounds", search.rounds)
    if scorer.trains:
        iterations = _suggest(trial, "round_iterations", search.round_iterations)
    k = _suggest(trial, "pretraining", study.pretraining.iterations)
    bound = search.theta_range
    theta = {group: trial.suggest_float(f"theta/{group}", -bound, bound) for group in groups(names, search.steered)}
    allocation = _suggest(trial, "allocation", search.allocation)
    return MaskDistribution(name, temperature, batch_seed, theta, allocation, k, rounds, iterations)


def suggest_training(trial: optuna.trial.Trial, training: Training) -> dict[str, Value]:
    """Ask Optuna for the searched training settings, by name."""
    return {name: _suggest(trial, name, setting) for name, setting in training.searched().items()}


def _suggest(trial: optuna.trial.Trial, name: str, setting: Any) -> Any:
    match setting:
        case Range():
            return trial.suggest_float(name, setting.low, setting.high, log=setting.log)
        case Choices():
            return trial.suggest_categorical(name, setting.choices)
    return setting
