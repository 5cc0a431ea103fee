"""The loss at initialisation and its derivatives, as the data-driven sources need them."""

import copy
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...models.errors import InputError
from ...models.placement import own_randomness, seed_generators
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
        with own_randomness(labels.device):
            seed_generators(derive(seed, "dropout", number), labels.device)
            loss = nn.functional.cross_entropy(model(images) / temperature, labels, reduction="sum") / count
        yield finite(loss, "the loss")


def loss_gradients(weights: dict[str, nn.Parameter], terms: Iterable[Tensor]) -> dict[str, Tensor]:
    """The gradient of the loss that the `terms` (see `losses`) add up to, by parameter name.

    Zero for weights that the loss does not reach. Raises InputError where it is not finite.
    """
    parameters = list(weights.values())
    parts = (torch.autograd.grad(term, parameters, materialize_grads=True) for term in terms)
    return _summed(weights, parts, "the gradient")


def hessian_gradients(weights: dict[str, nn.Parameter], terms: Callable[[], Iterable[Tensor]]) -> dict[str, Tensor]:
    """The product Hg of the loss's Hessian and its gradient g, by parameter name; `terms` makes the loss's anew.

    Two passes over the batches: g first, then the gradient of its inner product with itself, one factor held fixed.
    Raises InputError where it is not finite.
    """
    gradients = loss_gradients(weights, terms())
    parameters = list(weights.values())

    def part(term: Tensor) -> tuple[Tensor, ...]:
        again = torch.autograd.grad(term, parameters, create_graph=True, materialize_grads=True)
        inner = sum((fixed * free).sum() for fixed, free in zip(gradients.values(), again, strict=True))
        return torch.autograd.grad(inner, parameters, materialize_grads=True)

    # Fused attention cannot be differentiated twice.
    with sdpa_kernel(SDPBackend.MATH):
        return _summed(weights, map(part, terms()), "the product of Hessian and gradient")


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


def _summed(weights: dict[str, nn.Parameter], parts: Iterable[tuple[Tensor, ...]], what: str) -> dict[str, Tensor]:
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for part in parts:
        for name, tensor in zip(weights, part, strict=True):
            total[name] += tensor
    return {name: finite(tensor, f"{what} of {name}") for name, tensor in total.items()}
