"""An estimate of the weights on paths by derivatives, for a network that cannot be traced."""

import copy
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ...models.layers import prunable
from ...models.placement import image_dtype
from ...models.seeds import derive
from ...models.task import Task

#: Draws of weights, and of as many images for each.
DRAWS = 3
IMAGES = 16

#: The spread of a parameter that is drawn anew, where its initial values have none: zeros, or ones.
SPREAD = 0.5


class Derivatives:
    """The weights of `model` that some output's derivative is not 0 by, in `DRAWS` draws of weights and images.

    An estimate: a unit may be off for all of those, and numbers that no image changes count as an input. The draws are
    the same for each mask set: parameters around their initial values, in the network's own precision.
    """

    def __init__(self, model: nn.Module, task: Task) -> None:
        self._model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
        self._task = task
        self._initial = {
            name: value.detach().clone() for name, value in self._model.named_parameters() if value.is_floating_point()
        }
        self._weights = list(prunable(model))

    def connects(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return which weights connect the input to an output under `masks`, or would if they were kept, as booleans.

        All of them where nothing can be derived.
        """
        found = {name: np.zeros(masks[name].shape, dtype=bool) for name in self._weights}
        kept = {name: torch.tensor(np.asarray(masks[name])) for name in self._weights}
        try:
            for number in range(DRAWS):
                for name, gradient in zip(found, self._gradients(number, kept), strict=True):
                    found[name] |= (gradient != 0).numpy()
        except Exception:  # noqa: BLE001 - whatever a user's forward pass cannot do with numbers drawn at random
            found = {}
        known = any(each.any() for each in found.values())
        return found if known else {name: np.ones(masks[name].shape, dtype=bool) for name in self._weights}

    def _gradients(self, number: int, kept: Mapping[str, Tensor]) -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(derive(number, "derivatives"))
        parameters = dict(self._model.named_parameters())
        with torch.no_grad():
            for name, initial in self._initial.items():
                parameters[name].copy_(_near(initial, generator))
                if name in kept:
                    parameters[name].mul_(kept[name])
        weights = [parameters[name].requires_grad_() for name in self._weights]
        task = self._task
        shape = (IMAGES, task.channels, task.size, task.size)
        with torch.random.fork_rng(devices=[]):
            output = self._model(torch.randn(shape, generator=generator).to(image_dtype(self._model)))
        # Random factors: the sum of a softmax is the same whatever the weights are.
        factors = torch.randn(output.shape, generator=generator)
        yield from torch.autograd.grad((output * factors).sum(), weights, materialize_grads=True)
        for weight in weights:
            weight.requires_grad_(False)


def _near(initial: Tensor, generator: torch.Generator) -> Tensor:
    values = initial.double()
    spread = values.std() if values.numel() > 1 else torch.zeros(())
    spread = torch.where(spread > 0, spread, SPREAD)
    return values.mean() + spread * torch.randn(values.shape, generator=generator, dtype=torch.float64)
