"""Iterative SNIP: connection sensitivity, computed again after every round of removal."""

import numpy as np
from torch import Tensor

from ...models.seeds import derive
from .differentiating import DifferentiatingSource
from .gradients import working_copy
from .rounds import remove_in_rounds
from .setting import Setting
from .snip import connection_sensitivities


class IterativeSnip(DifferentiatingSource):
    """|w * dL/dw| in rounds (Iter SNIP of de Jorge et al., ICLR 2021, section 4; Verdenius et al., 2020).

    Every round sees another batch, and removed weights stay removed, as in the code of de Jorge et al. The first
    round's batch is SNIP's, so that a single round keeps the same weights as SNIP.
    """

    data_driven = True
    default_rounds = 100

    def differentiate(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        model, weights = working_copy(setting)
        model.train()

        def saliency(number: int) -> dict[str, Tensor]:
            return connection_sensitivities(model, weights, setting, derive(seed, "round", number) if number else seed)

        return remove_in_rounds(setting, weights, saliency, _kept)


def _kept(density: float, size: int) -> int:
    """Return the number of weights that are kept, rounded down as in the authors' code."""
    return int(density * size)
