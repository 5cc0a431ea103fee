"""CMA-ES whose state is never stored: it is computed anew from the trials that it was told of.

Optuna's own sampler keeps its state in the study, as a pickle, and so runs whatever a stranger writes there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import cmaes
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

#: Attributes of a trial: the generation that it is drawn from, and the numbers of the trials by which that was made.
GENERATION, TOLD = "cma:generation", "cma:told"

_Optimizer: TypeAlias = cmaes.CMA | cmaes.SepCMA


class CovarianceAdaptation(BaseSampler):
    """A sampler that maximises one objective over the numbers of `space`, and draws all else uniformly.

    It starts in the middle, with a standard deviation of a sixth of each range, as Optuna's does.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution]) -> None:
        self._seed = seed
        self._space = dict(space)
        self._others = RandomSampler(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        transform = _SearchSpaceTransform(search_space, transform_0_1=True)
        optimizer = self._begin(transform.bounds)
        trials = study.get_trials(deepcopy=False)
        complete = {one.number: one for one in trials if one.state is TrialState.COMPLETE}
        notes = {one.system_attrs[GENERATION]: one.system_attrs[TOLD] for one in reversed(trials) if _is_note(one)}
        while solutions := _named(notes.get(optimizer.generation + 1, ()), complete, optimizer.population_size):
            _tell(optimizer, solutions, transform)
        drawn = [one for one in complete.values() if one.system_attrs.get(GENERATION) == optimizer.generation]
        if len(drawn) >= optimizer.population_size:
            solutions = drawn[: optimizer.population_size]
            _tell(optimizer, solutions, transform)
            study._storage.set_trial_system_attr(trial._trial_id, TOLD, [one.number for one in solutions])
        study._storage.set_trial_system_attr(trial._trial_id, GENERATION, optimizer.generation)
        optimizer.reseed_rng(self._seed)
        return transform.untransform(optimizer.ask())

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def _begin(self, bounds: NDArray[np.float64]) -> _Optimizer:
        # A single number has no covariances to leave out.
        kind = cmaes.SepCMA if len(bounds) > 1 else cmaes.CMA
        low, high = bounds.T
        return kind(
            mean=low + (high - low) / 2,
            sigma=float(np.min(high - low)) / 6,
            bounds=bounds,
            n_max_resampling=10 * len(bounds),
        )


def _is_note(trial: FrozenTrial) -> bool:
    """Return whether a trial notes whom a generation was made by, in the form of a note."""
    generation, told = trial.system_attrs.get(GENERATION), trial.system_attrs.get(TOLD)
    return isinstance(generation, int) and isinstance(told, list) and all(isinstance(one, int) for one in told)


def _named(numbers: Sequence[int], complete: Mapping[int, FrozenTrial], population: int) -> list[FrozenTrial]:
    """Return the trials of a note; none where it does not name a whole population of them."""
    found = [complete[number] for number in dict.fromkeys(numbers) if number in complete]
    return found if len(found) == population else []


def _tell(optimizer: _Optimizer, trials: Sequence[FrozenTrial], transform: _SearchSpaceTransform) -> None:
    # It minimises.
    optimizer.tell([(transform.transform(one.params), -(one.value or 0.0)) for one in trials])
