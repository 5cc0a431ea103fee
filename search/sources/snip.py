"""SNIP: connection sensitivity."""

import numpy as np

from .gradients import loss_gradients, working_copy
from .setting import Setting
from .source import Source


class Snip(Source):
    """|w * dL/dw|, the sensitivity of the loss to removing the weight (Lee et al., ICLR 2019, equation 6).

    Batch normalisation is in training mode, as in the authors' code; the loss is the cross-entropy.
    """

    data_driven = True

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        model, weights = working_copy(setting)
        gradients = loss_gradients(model.train(), weights, setting, seed)
        return {name: (weight.detach() * gradients[name]).abs().cpu().numpy() for name, weight in weights.items()}
