"""When a mask changes, and how much of it."""

import math
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Schedule:
    """A change after each `every` iterations, before the fraction `until`, in (0, 1], of all iterations is over.

    `fraction`, in (0, 1), is the part of the kept weights that the first changes move; later ones move less (Evci et
    al., ICML 2020, section 3). Raises `InputError` for values out of range.
    """

    every: int = 100
    fraction: float = 0.3
    until: float = 0.75

    def __post_init__(self) -> None:
        if self.every < 1 or not 0 < self.fraction < 1 or not 0 < self.until <= 1:
            raise InputError(
                f"a mask's schedule needs every >= 1, fraction in (0, 1) and until in (0, 1], but got {self}"
            )

    def due(self, iteration: int, total_iterations: int) -> bool:
        """Return whether the mask changes after the step that is the `iteration`-th, from 1."""
        return iteration % self.every == 0 and iteration < self.until * total_iterations

    def updates(self, iteration: int, total_iterations: int) -> int:
        """Return how many changes are due up to the `iteration`-th step, itself included."""
        return max(0, min(iteration, self.last(total_iterations))) // self.every

    def last(self, total_iterations: int) -> int:
        """Return the last iteration at which a change could be due; below 1 where none could."""
        return math.ceil(self.until * total_iterations) - 1

    def fraction_at(self, iteration: int, total_iterations: int) -> float:
        """Return the fraction of kept weights to move: half a cosine from `fraction` down to 0 at the end."""
        return self.fraction * (1 + math.cos(math.pi * iteration / (self.until * total_iterations))) / 2
