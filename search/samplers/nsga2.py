"""NSGA-II: a genetic algorithm of several objectives."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .sampler import Sampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class NSGA2(Sampler):
    """The genetic algorithm NSGA-II (Deb et al., 2002)."""

    complete_only = True

    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        from optuna.samplers import NSGAIISampler

        from .joint import Joint

        return Joint(NSGAIISampler(seed=seed), space)
