"""SynFlow: synaptic flow."""

import numpy as np
import torch
from torch import Tensor

from .differentiating import DifferentiatingSource
from .gradients import finite, working_copy
from .rounds import remove_in_rounds
from .setting import Setting


class SynFlow(DifferentiatingSource):
    """w * dR/dw in rounds, R the sum of the outputs for an image of ones (Tanaka et al., NeurIPS 2020, algorithm 1).

    All parameters and buffers are replaced by their absolute values and batch normalisation is in evaluation mode, as
    in the authors' code. Needs no data: one forward and one backward pass of a single image a round.
    """

    default_rounds = 100

    def differentiate(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        model, weights = working_copy(setting)
        model.eval()
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.abs_()
        task = setting.data.task
        shape = (1, task.channels, task.size, task.size)
        ones = torch.ones(shape, dtype=setting.image_dtype, device=setting.device)

        def saliency(number: int) -> dict[str, Tensor]:
            flow = finite(model(ones).double().sum(), "the sum of the outputs for an image of ones")
            gradients = torch.autograd.grad(flow, list(weights.values()), materialize_grads=True)
            return {
                name: finite(weight.detach().double() * gradient, f"the synaptic flow of {name}").abs()
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }

        return remove_in_rounds(setting, weights, saliency, _kept)


def _kept(density: float, size: int) -> int:
    """Return the number of weights that are kept; as in the authors' code, that of removed weights is rounded down."""
    return size - int((1 - density) * size)
