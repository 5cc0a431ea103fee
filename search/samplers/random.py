"""Random search."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .sampler import Sampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class Random(Sampler):
    """Independent uniform draws."""

    learns = False

    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        from optuna.samplers import RandomSampler

        return RandomSampler(seed=seed)
