"""Optuna's samplers by the names that studies use, each told the space that it draws jointly."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

PER_SOURCE = ("cmaes", "qmc")
"""Samplers of one fixed space: they keep a study of each mask source."""

BLIND = ("random", "qmc")
"""Samplers that learn nothing from what came of a trial."""

COMPLETE_ONLY = ("cmaes", "nsga2")
"""Samplers that would pass over a trial that was stopped on its way, whatever it had reached."""


def make_sampler(name: str, seed: int, space: Mapping[str, BaseDistribution], asked: int = 0) -> BaseSampler:
    """The sampler called `name` in [search] sampler, over the parameters that all trials of its study have.

    `asked` is how many trials it was asked for before: where Sobol's sequence goes on, whose `seed` must stay the same.
    """
    space = {name: one for name, one in space.items() if not one.single()}
    match name:
        case "tpe":
            # What only some sources have (temperature, batch) it draws by itself, from the trials that have it.
            return _Joint(TPESampler(seed=seed, multivariate=True, constant_liar=True), space)
        case "nsga2":
            return _Joint(NSGAIISampler(seed=seed), space)
        case "qmc":
            return _Joint(_Sobol(seed, asked), space)
        case "cmaes":
            numbers = {name: one for name, one in space.items() if not isinstance(one, CategoricalDistribution)}
            return _Joint(_cmaes(seed, len(numbers)), numbers)
    return RandomSampler(seed=seed)


def _cmaes(seed: int, dimensions: int) -> CmaEsSampler:
    """CMA-ES that starts in the middle of the space, where every theta is 0: at the base allocation itself."""
    with _quietly():
        return CmaEsSampler(
            seed=seed, n_startup_trials=0, use_separable_cma=dimensions > 1, warn_independent_sampling=False
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warnings that Optuna may still change the sampler: a change shows in the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class _Joint(BaseSampler):
    """A sampler that is told what to draw jointly, and does not look through all trials for it each time."""

    def __init__(self, sampler: BaseSampler, space: dict[str, BaseDistribution]):
        self._sampler = sampler
        self._space = space

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._space

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


class _Sobol(QMCSampler):
    """Sobol's scrambled sequence from a given position."""

    def __init__(self, seed: int, position: int):
        with _quietly():
            super().__init__(scramble=True, seed=seed, warn_independent_sampling=False)
        self._position = position

    def _find_sample_id(self, study: optuna.Study, search_space: dict) -> int:
        # Optuna counts in the study; here no trial need be kept.
        return self._position
