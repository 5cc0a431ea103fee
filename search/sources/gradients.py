"""The loss at initialisation and its derivatives, as the data-driven sources need them."""

import contextlib
import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...models.errors import InputError
from ...models.seeds import derive
from .setting import Setting


def working_copy(setting: Setting) -> tuple[nn.Module, dict[str, nn.Parameter]]:
    """The network at the same weights in double precision, and its weights that are scored.

    A copy, because a forward pass in training mode moves running statistics and pruning in rounds sets weights to zero.
    In double precision, so that rounding does not decide which weights are kept: the masks are the same on any number
    of threads.
    """
    model = copy.deepcopy(setting.model).double().requires_grad_()
    parameters = dict(model.named_parameters())
    return model, {name: parameters[name] for name in setting.weights}


def losses(model: nn.Module, setting: Setting, seed: int, temperature: float = 1.0, parts: int = 1) -> Iterator[Tensor]:
    """The mean cross-entropy over `setting.batches(seed, parts)` in terms that add up to it, one for each batch.

    The logits are divided by `temperature`. Batch normalisation works in the mode of `model`; dropout is seeded.
    Raises InputError for a loss that is not finite.
    """
    count = setting.images_per_class * setting.data.task.classes
    for number, (images, labels) in enumerate(setting.batches(seed, parts)):
        with seeded(derive(seed, "dropout", number), labels.device):
            loss = nn.functional.cross_entropy(model(images) / temperature, labels, reduction="sum") / count
        yield finite(loss, "the loss")


def loss_gradients(
    model: nn.Module,
    weights: dict[str, nn.Parameter],
    setting: Setting,
    seed: int,
    temperature: float = 1.0,
    parts: int = 1,
) -> dict[str, Tensor]:
    """The gradient of the mean of `losses`, by parameter name.

    Zero for weights that the loss does not reach. Raises InputError where it is not finite.
    """
    parameters = list(weights.values())
    terms = (
        torch.autograd.grad(loss, parameters, materialize_grads=True)
        for loss in losses(model, setting, seed, temperature, parts)
    )
    return _summed(weights, terms, "the gradient")


def hessian_gradients(
    model: nn.Module,
    weights: dict[str, nn.Parameter],
    setting: Setting,
    seed: int,
    temperature: float = 1.0,
    parts: int = 1,
) -> dict[str, Tensor]:
    """The product Hg of the Hessian of the mean of `losses` and its gradient g, by parameter name.

    Two passes over the batches: g first, then the gradient of its inner product with itself, one factor held fixed.
    Raises InputError where it is not finite.
    """
    gradients = loss_gradients(model, weights, setting, seed, temperature, parts)
    parameters = list(weights.values())

    def part(loss: Tensor) -> tuple[Tensor, ...]:
        again = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
        inner = sum((fixed * free).sum() for fixed, free in zip(gradients.values(), again, strict=True))
        return torch.autograd.grad(inner, parameters, materialize_grads=True)

    # Fused attention cannot be differentiated twice.
    with sdpa_kernel(SDPBackend.MATH):
        terms = (part(loss) for loss in losses(model, setting, seed, temperature, parts))
        return _summed(weights, terms, "the product of Hessian and gradient")


def finite(value: Tensor, what: str) -> Tensor:
    """Returns `value`. Raises InputError, which calls it `what`, where it is nan or infinite."""
    values = value.detach()
    # The sum first: it tells almost always, and takes no memory.
    if not values.sum().isfinite() and len(strange := values[~values.isfinite()]):
        raise InputError(
            f"{what} is {strange[0].item()} at the initial weights, but must be finite for weights to be scored; "
            "look for images or initial weights that are not finite or far too large"
        )
    return value


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


def _summed(weights: dict[str, nn.Parameter], parts: Iterable[tuple[Tensor, ...]], what: str) -> dict[str, Tensor]:
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for part in parts:
        for name, tensor in zip(weights, part, strict=True):
            total[name] += tensor
    return {name: finite(tensor, f"{what} of {name}") for name, tensor in total.items()}
