"""What a mask source is: it gives every prunable weight a score; the higher, the likelier the weight is kept."""

from abc import ABC, abstractmethod

import numpy as np
from torch import nn

from ...models.data import Data


class Source(ABC):
    """A scorer of weights at initialisation. A new source overrides `scores` and stands in the registry."""

    #: Whether the scores depend on training images; then several batches can be asked for by seed.
    data_driven = False
    #: Whether draws are worth spreading by a searched temperature; a source that is itself random needs none.
    searches_temperature = True
    #: Gumbel temperature of a draw where nobody names one: 0 is the source's own deterministic top-k.
    default_temperature = 0.0

    @abstractmethod
    def scores(self, model: nn.Module, data: Data, seed: int) -> dict[str, np.ndarray]:
        """Scores of every prunable parameter: finite, >= 0, same shapes as the parameters.

        `model` is the network at the very weights that training starts from, and is left as it was; `seed` fixes
        whatever the source draws (a batch of the training split, or its own random numbers).
        """
