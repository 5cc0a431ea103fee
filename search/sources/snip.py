"""SNIP: connection sensitivity."""

import numpy as np
from torch import Tensor, nn

from .differentiating import DifferentiatingSource
from .gradients import loss_gradients, losses, working_copy
from .setting import Setting


class Snip(DifferentiatingSource):
    """|w * dL/dw|, the sensitivity of the loss to removing the weight (Lee et al., ICLR 2019, equation 6).

    Batch normalisation is in training mode, as in the authors' code; the loss is the cross-entropy.
    """

    data_driven = True

    def differentiate(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        model, weights = working_copy(setting)
        sensitivities = connection_sensitivities(model.train(), weights, setting, seed)
        return {name: sensitivity.cpu().numpy() for name, sensitivity in sensitivities.items()}


def connection_sensitivities(
    model: nn.Module, weights: dict[str, nn.Parameter], setting: Setting, seed: int
) -> dict[str, Tensor]:
    """Return |w * dL/dw| of every weight, over the batches of `seed`."""
    gradients = loss_gradients(weights, losses(model, setting, seed))
    return {name: (weight.detach() * gradients[name]).abs() for name, weight in weights.items()}
