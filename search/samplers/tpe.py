"""TPE: the tree-structured Parzen estimator."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .sampler import Sampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class TPE(Sampler):
    """The tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), multivariate.

    What only some mask sources have (temperature, batch) it draws independently, from the trials that have it.
    """

    windowed = True

    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        from optuna.samplers import TPESampler

        from .joint import Joint

        return Joint(TPESampler(seed=seed, multivariate=True, constant_liar=True), space)
