"""A numerical count of the weights on paths, by derivatives: what the paths of a network are compared with."""

import copy
import math
from collections.abc import Collection, Mapping

import numpy as np
import torch
from fullspectrum.models.task import Task
from torch import nn
from torch.overrides import TorchFunctionMode

#: Draws of weights, and of images for each.
DRAWS, IMAGES = 3, 64

#: A derivative below this share of the largest is rounding, in double precision.
ROUNDING = 1e-11


class Centred(TorchFunctionMode):
    """Weights have their derivative on what varies among the images alone: constants count as nothing.

    `weights` are the second operand of a linear layer or a convolution, or the derivative is the usual one.
    """

    def __init__(self, weights: Collection[torch.Tensor]):
        super().__init__()
        self._weights = {id(weight) for weight in weights}

    def __torch_function__(self, function, types, arguments=(), settings=None):
        settings = settings or {}
        if len(arguments) < 2 or id(arguments[1]) not in self._weights:
            return function(*arguments, **settings)
        inputs, weight, *others = arguments
        centred = (inputs - inputs.mean(0, keepdim=True)).detach()
        # The mean of equal numbers is not always that number.
        centred = centred.where(centred.abs() > 1e-15 * inputs.detach().abs().amax(0, keepdim=True), 0.0)
        without_bias = [None, *others[1:]] if others else []
        # The two last terms are equal, and differ in their derivative.
        plain = function(inputs, weight.detach(), *others, **settings)
        settings = settings | ({"bias": None} if "bias" in settings else {})
        with_derivative, without = (
            function(centred, each, *without_bias, **settings) for each in (weight, weight.detach())
        )
        return plain + with_derivative - without


def counted(model: nn.Module, masks: Mapping[str, np.ndarray], task: Task) -> dict[str, np.ndarray]:
    """The kept weights by which the derivative of some output is not 0, in any draw of weights and images."""
    found = {name: np.zeros(mask.shape, dtype=bool) for name, mask in masks.items()}
    for seed in range(DRAWS):
        generator = torch.Generator().manual_seed(seed)
        trial = copy.deepcopy(model).double().eval()
        parameters = dict(trial.named_parameters())
        with torch.no_grad():
            for name, parameter in parameters.items():
                # The sums of deep networks neither vanish nor grow, and no softmax has a single share.
                scale = 2 / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 1
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
                if name in masks:
                    parameter.mul_(torch.tensor(masks[name]))
        weights = [parameters[name] for name in masks]
        images = torch.randn((IMAGES, task.channels, task.size, task.size), generator=generator, dtype=torch.float64)
        with Centred(weights):
            output = trial(images)
        factors = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        gradients = torch.autograd.grad((output * factors).sum(), weights, materialize_grads=True)
        for name, gradient in zip(masks, gradients, strict=True):
            found[name] |= (gradient.abs() > ROUNDING * gradient.abs().max()).numpy() & masks[name]
    return found
