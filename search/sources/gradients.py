"""The loss at initialisation and its derivatives, for data-driven sources."""

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
    """Return a copy of the network in the setting's precision, and its weights that are scored.

    It is a copy because a forward pass in training mode moves running statistics, and pruning in rounds sets weights to
    zero.
    """
    model = copy.deepcopy(setting.model)
    if setting.double:
        model = model.double()
    for parameter in model.parameters():
        # Those of integers have no gradients.
        if parameter.is_floating_point() or parameter.is_complex():
            parameter.requires_grad_()
    parameters = dict(model.named_parameters())
    return model, {name: parameters[name] for name in setting.weights}


def losses(model: nn.Module, setting: Setting, seed: int, temperature: float = 1.0, parts: int = 1) -> Iterator[Tensor]:
    """Yield the terms, one a batch, whose sum is the mean cross-entropy over `setting.batches(seed, parts)`.

    The logits are divided by `temperature`. Batch normalisation works in the mode of `model`; dropout is seeded.
    Raise InputError for a loss that is not finite.
    """
    count = setting.images_per_class * setting.data.task.classes
    for number, (images, labels) in enumerate(setting.batches(seed, parts)):
        with own_randomness(labels.device):
            seed_generators(derive(seed, "dropout", number), labels.device)
            logits = model(images)
            # As training does; a gradient of half precision would vanish.
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
            loss = nn.functional.cross_entropy(logits / temperature, labels, reduction="sum") / count
        yield finite(loss, "the loss")


def loss_gradients(weights: dict[str, nn.Parameter], terms: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return the gradient of the sum of the `terms` (see `losses`), in double precision by parameter name.

    It is zero for weights that the loss does not depend on. Raise InputError where it is not finite.
    """
    parameters = list(weights.values())
    parts = (torch.autograd.grad(term, parameters, materialize_grads=True) for term in terms)
    return _summed(weights, parts, "the gradient")


def hessian_gradients(weights: dict[str, nn.Parameter], terms: Callable[[], Iterable[Tensor]]) -> dict[str, Tensor]:
    """Return the product Hg of the loss's Hessian and its gradient g, in double precision by parameter name.

    `terms` computes the terms of the loss (see `losses`), once for each of two passes over the batches: the first
    gives g, the second the gradient of the inner product of g with itself, one factor held fixed. Raise InputError
    where the product is not finite.
    """
    gradients = loss_gradients(weights, terms())
    parameters = list(weights.values())

    def part(term: Tensor) -> tuple[Tensor, ...]:
        again = torch.autograd.grad(term, parameters, create_graph=True, materialize_grads=True)
        products = ((fixed * free).sum() for fixed, free in zip(gradients.values(), again, strict=True))
        inner = sum(products, start=term.new_zeros(()))
        return torch.autograd.grad(inner, parameters, materialize_grads=True)

    # Fused attention cannot be differentiated twice.
    with sdpa_kernel(SDPBackend.MATH):
        return _summed(weights, map(part, terms()), "the product of Hessian and gradient")


def finite(value: Tensor, what: str) -> Tensor:
    """Return `value`. Raise InputError, with `what` as its name, where it is nan or infinite."""
    values = value.detach()
    # The sum first: it is enough almost always, and takes no memory.
    if not values.sum().isfinite() and len(strange := values[~values.isfinite()]):
        raise InputError(
            f"{what} is {strange[0].item()} at the initial weights, but must be finite for weights to be scored; "
            "look for images or initial weights that are not finite or far too large"
        )
    return value


def _summed(weights: dict[str, nn.Parameter], parts: Iterable[tuple[Tensor, ...]], what: str) -> dict[str, Tensor]:
    total = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    for part in parts:
        for name, tensor in zip(weights, part, strict=True):
            total[name] += tensor
    return {name: finite(tensor, f"{what} of {name}") for name, tensor in total.items()}
