"""CMA-ES: covariance matrix adaptation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .sampler import Sampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class CMAES(Sampler):
    """Covariance matrix adaptation (Hansen and Ostermeier, 2001), separable, over the numbers of the space.

    It starts in the middle of the space, where every theta is 0: at the base allocation itself.
    """

    per_group = True
    complete_only = True
    several_objectives = False

    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        from optuna.distributions import CategoricalDistribution

        from .covariance import CovarianceAdaptation

        numbers = {name: one for name, one in space.items() if not isinstance(one, CategoricalDistribution)}
        return CovarianceAdaptation(seed, numbers)
