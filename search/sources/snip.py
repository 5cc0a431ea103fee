"""SNIP: connection sensitivity."""

import copy

import numpy as np
import torch
from torch import nn

from ...models.data import Data, class_balanced_batch
from ...models.layers import prunable
from ...models.seeds import derive
from .source import Source

#: Images of each class in the batch; the paper takes ten for ten classes.
IMAGES_PER_CLASS = 10


class Snip(Source):
    """|w * dL/dw|, the sensitivity of the loss to removing the weight (Lee et al., ICLR 2019, equation 6).

    Batch normalisation is in training mode, as in the authors' code. The loss is the cross-entropy of one batch. In
    double precision, so that rounding does not decide which weights are kept: the masks are the same on any number of
    threads.
    """

    data_driven = True

    def scores(self, model: nn.Module, data: Data, seed: int) -> dict[str, np.ndarray]:
        # A copy at the same weights: a forward pass in training mode moves the running statistics.
        model = copy.deepcopy(model).double().train()
        images, labels = class_balanced_batch(data, IMAGES_PER_CLASS, seed)
        device = next(model.parameters()).device
        weights = prunable(model)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "dropout"))
            loss = nn.functional.cross_entropy(model(images.to(device).double()), labels.to(device))
        # Weights that the loss does not reach have gradient zero.
        gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return {
            name: (weight.detach() * gradient).abs().cpu().numpy()
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }
