"""QMC: quasi-Monte Carlo."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .sampler import Sampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class QMC(Sampler):
    """Sobol's scrambled sequence, which fills the space evenly."""

    learns = False
    per_group = True
    one_sequence = True

    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        from .joint import Joint
        from .sobol import Sobol

        return Joint(Sobol(seed, asked), space)
