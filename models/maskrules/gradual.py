"""Gradual magnitude pruning."""

from .removal import Removal


class Gradual(Removal):
    """The rule of Zhu and Gupta ("To prune, or not to prune", 2017): many weights are removed early and few late.

    Sparsity follows their equation 1 from 0, with an initial sparsity and a first step of 0.
    """

    def left(self, kept: int, size: int, progress: float) -> float:
        """Return the number of weights on the cubic from `size` down to `kept`."""
        return kept + (size - kept) * (1 - progress) ** 3
