"""What an allocation shares out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .layers import AllocationError, Shapes

#: Scores of every weight, by parameter name and of the parameters' shapes.
Scores = Mapping[str, np.ndarray]


def none_given() -> Scores:
    """Raise AllocationError: nobody said what is to be ranked."""
    raise AllocationError("this allocation ranks the scores of a source, but no scores were given")


@dataclass(frozen=True)
class Share:
    """The weights that an allocation shares out: `kept` in all, among layers of these `shapes`.

    `scores` and `weights` are asked for by the allocations that rank them, and may be costly: the scores of the
    source that the mask is drawn from, >= 0, and the weights that training starts from.
    """

    shapes: Shapes
    kept: int
    scores: Callable[[], Scores] = none_given
    weights: Callable[[], Scores] = none_given

    @property
    def sizes(self) -> np.ndarray:
        """The number of weights of each layer, int64 of shape (layers,)."""
        return np.array([math.prod(shape) for shape in self.shapes.values()], dtype=np.int64)
