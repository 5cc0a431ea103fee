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
        from optuna.samplers import CmaEsSampler

        from .joint import Joint, experimental

        numbers = {name: one for name, one in space.items() if not isinstance(one, CategoricalDistribution)}
        with experimental():
            found = CmaEsSampler(
                seed=seed, n_startup_trials=0, use_separable_cma=len(numbers) > 1, warn_independent_sampling=False
            )
        return Joint(found, numbers)
