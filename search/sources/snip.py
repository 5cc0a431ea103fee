"""SNIP: connection sensitivity."""

import contextlib
import copy
from collections.abc import Iterator

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
        with _seeded(derive(seed, "dropout"), device):
            loss = nn.functional.cross_entropy(model(images.to(device).double()), labels.to(device))
        # Weights that the loss does not reach have gradient zero.
        gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return {
            name: (weight.detach() * gradient).abs().cpu().numpy()
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
        }


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the generators of the CPU and of `device` alone, and leaves them as they were.

    Not torch.manual_seed, which touches every GPU, also those that other trials compute on.
    """
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
