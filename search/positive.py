"""A forward pass in which every output grows with every input and weight that it is connected to."""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def _unchanged(input: Tensor, *_, **__) -> Tensor:
    return input


def _relu(input: Tensor, *_, **__) -> Tensor:
    return F.relu(input)


def _squash(input: Tensor, *_, **__) -> Tensor:
    """Bounded by 1, or the products of attention would overflow within a few layers; negative inputs give 0."""
    # Written so that its derivative is one product; that of x / (1 + x) is a difference, which large x round to zero.
    return 1 - (1 + F.relu(input)).reciprocal()


def _gate(input: Tensor, *_, **__) -> Tensor:
    """A sigmoid that is open at zero, with a derivative that large inputs do not round to zero."""
    return 1 + _squash(input)


def _average_pool(pool: Callable) -> Callable:
    def average(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return pool(input, kernel_size, stride, padding, ceil_mode)

    return average


def _adaptive_pool(pool: Callable) -> Callable:
    return lambda input, output_size, return_indices=False: pool(input, output_size)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_, **__) -> Tensor:
    return _squash(query @ key.transpose(-2, -1)) @ value


def _multi_head_attention(*args, **kwargs) -> tuple[Tensor, None]:
    """Every token sees every other; the packed projections are never pruned, the output projection is."""
    given = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs).arguments
    mixed = given["value"].mean(0, keepdim=True).expand(given["query"].shape)
    return F.linear(mixed, given["out_proj_weight"]), None


_SUBSTITUTES: dict[Callable, Callable] = {
    # Normalisations subtract a mean, and a softmax makes its outputs compete: both cancel. What an attention mask has
    # pushed far below zero is not attended to.
    **dict.fromkeys((F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm), _unchanged),
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _squash),
    **dict.fromkeys((F.log_softmax, torch.log_softmax, Tensor.log_softmax), _squash),
    # Bounded activations have no derivative beyond their bound.
    **dict.fromkeys((F.relu6, F.hardtanh), _relu),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, Tensor.sigmoid, F.hardsigmoid), _gate),
    **dict.fromkeys((F.tanh, torch.tanh, Tensor.tanh), _squash),
    # Of a maximum only the winner has a derivative, and on real images any position may win.
    F.max_pool1d: _average_pool(F.avg_pool1d),
    F.max_pool2d: _average_pool(F.avg_pool2d),
    F.max_pool3d: _average_pool(F.avg_pool3d),
    F.adaptive_max_pool1d: _adaptive_pool(F.adaptive_avg_pool1d),
    F.adaptive_max_pool2d: _adaptive_pool(F.adaptive_avg_pool2d),
    F.adaptive_max_pool3d: _adaptive_pool(F.adaptive_avg_pool3d),
    F.scaled_dot_product_attention: _attention,
    F.multi_head_attention_forward: _multi_head_attention,
}


class PositivePropagation(TorchFunctionMode):
    """While it is entered, a network with weights >= 0 and no biases computes sums of products of positive numbers.

    Works on whatever the network calls, as a module or as a function.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return _SUBSTITUTES.get(func, func)(*args, **(kwargs or {}))
