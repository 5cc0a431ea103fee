"""The loss at initialisation and its gradients, as the data-driven sources need them."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ...models.seeds import derive
from .setting import Setting


def working_copy(setting: Setting) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    """The network at the same weights in double precision, and its weights that are scored.

    A copy, because a forward pass in training mode moves running statistics and pruning in rounds sets weights to zero.
    In double precision, so that rounding does not decide which weights are kept: the masks are the same on any number
    of threads.
    """
    model = copy.deepcopy(setting.model).double()
    parameters = dict(model.named_parameters())
    return model, {name: parameters[name] for name in setting.weights}


def loss_gradients(
    model: nn.Module, weights: dict[str, nn.Parameter], setting: Setting, seed: int
) -> dict[str, Tensor]:
    """The gradient of the mean cross-entropy over `setting.batches(seed)`, by parameter name.

    Zero for weights that the loss does not reach. Batch normalisation works in the mode of `model`; dropout is seeded.
    """
    total: dict[str, Tensor] = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = 0
    for images, labels in setting.batches(seed):
        with seeded(derive(seed, "dropout", count), labels.device):
            loss = nn.functional.cross_entropy(model(images), labels, reduction="sum")
        gradients = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        for name, gradient in zip(weights, gradients, strict=True):
            total[name] += gradient
        count += len(labels)
    return {name: gradient / count for name, gradient in total.items()}


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
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
