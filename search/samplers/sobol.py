"""Sobol's sequence from a given position."""

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import QMCSampler

from .joint import experimental


class Sobol(QMCSampler):
    """Sobol's scrambled sequence from a given position on."""

    def __init__(self, seed: int, position: int) -> None:
        with experimental():
            super().__init__(scramble=True, seed=seed, warn_independent_sampling=False)
        self._position = position

    def _find_sample_id(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> int:
        # Optuna counts in the study; here no trial need be kept.
        return self._position
