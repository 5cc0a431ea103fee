"""A forward pass in which every output grows with every input and weight that it is connected to."""

import inspect
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def _unchanged(input: Tensor, *_, **__) -> Tensor:
    return input


class _Reached(torch.autograd.Function):
    """1 where the input is positive, 0 elsewhere; backward the same of the gradient, wherever the input is.

    What decides is whether a number is zero. As numbers start anew from 0 and 1 in every layer, they neither vanish nor
    overflow however deep the network is, and single precision is exact.
    """

    @staticmethod
    def forward(ctx, input: Tensor) -> Tensor:
        return (input > 0).to(input.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return (gradient > 0).to(gradient.dtype)


def _reached(input: Tensor, *_, **__) -> Tensor:
    """In place of an activation: it passes gradients to units that nothing reaches yet."""
    return _Reached.apply(input)


def _gate(input: Tensor, *_, **__) -> Tensor:
    """A sigmoid that is open at zero, with a derivative that large inputs do not round to zero."""
    return 1 + _Reached.apply(input)


def _anew(multiply: Callable) -> Callable:
    """A product of features with weights or with one another, computed from zeros and ones."""

    def product(*operands, **settings):
        return multiply(*map(_as_reached, operands), **{name: _as_reached(x) for name, x in settings.items()})

    return product


def _as_reached(operand: object) -> object:
    if not isinstance(operand, Tensor) or not operand.is_floating_point():
        return operand
    if operand.is_leaf and operand.requires_grad:
        # A mask.
        return operand
    # What is fixed connects whatever its sign.
    return _Reached.apply(operand) if _follows_input(operand) else (operand != 0).to(operand.dtype)


def _average_pool(pool: Callable) -> Callable:
    def average(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return pool(input, kernel_size, stride, padding, ceil_mode)

    return average


def _adaptive_pool(pool: Callable) -> Callable:
    return lambda input, output_size, return_indices=False: pool(input, output_size)


def _softmax(input: Tensor, dim: int | None = -1, *_, **__) -> Tensor:
    """Shares that are open at zero, as a softmax attends to all keys where all scores are equal.

    What an attention mask has pushed far below zero is not attended to.
    """
    return torch.where(input < 0, 0.0, _gate(input)) / input.shape[-1 if dim is None else dim]


_linear, _matmul = _anew(F.linear), _anew(torch.matmul)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_, **__) -> Tensor:
    """Every token attends to every other, whatever the mask of the attention."""
    return _matmul(_softmax(_matmul(query, key.transpose(-2, -1))), value)


def _multi_head_attention(*args, **kwargs) -> tuple[Tensor, None]:
    """Attention of `nn.MultiheadAttention`: tokens (tokens, batch, features) or (tokens, features)."""
    bound = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if given["use_separate_proj_weight"]:
        projections = [given[f"{part}_proj_weight"] for part in "qkv"]
    else:
        projections = given["in_proj_weight"].chunk(3)
    tokens = (given[part] for part in ("query", "key", "value"))
    query, key, value = (_linear(x, weight) for x, weight in zip(tokens, projections, strict=True))
    if given["bias_k"] is not None:
        # One token more, the same for every image.
        extra = (given[name].view(-1).expand_as(key[:1]) for name in ("bias_k", "bias_v"))
        key, value = (torch.cat(pair) for pair in zip((key, value), extra, strict=True))
    # Heads and tokens to the axes that are multiplied: (…, heads, tokens, features of a head).
    heads = (x.unflatten(-1, (given["num_heads"], -1)).movedim(0, -2) for x in (query, key, value))
    mixed = _attention(*heads).movedim(-2, 0).flatten(-2)
    return _linear(mixed, given["out_proj_weight"]), None


def _recurrent(input: Tensor, states, weights, bias, layers, dropout, training, both_ways, batch_first=False) -> tuple:
    """Recurrent layers are never pruned: every step sees all features of all others, and of the first state."""
    states = [states] if isinstance(states, Tensor) else states
    seen = input.mean((1 if batch_first else 0, 2)) + sum(state.mean((0, 2)) for state in states)
    steps = seen[:, None, None] if batch_first else seen[None, :, None]
    outputs = steps.expand(*input.shape[:2], states[0].shape[-1] * (2 if both_ways else 1))
    return outputs, *(seen[None, :, None].expand_as(state) for state in states)


def _recurrent_cell(input: Tensor, states, *_, **__) -> Tensor | tuple[Tensor, ...]:
    several = [states] if isinstance(states, Tensor) else states
    seen = input.mean(-1, keepdim=True) + sum(state.mean(-1, keepdim=True) for state in several)
    after = tuple(seen.expand_as(state) for state in several)
    return after[0] if isinstance(states, Tensor) else after


def _lookup(function: Callable) -> Callable:
    """Rows that are looked up by their position are those; rows that the image chooses may be any."""
    signature = inspect.signature(function)

    def look_up(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        if _follows_input(given["input"]):
            given |= {"input": torch.zeros_like(given["input"]), "weight": given["weight"].mean(0, keepdim=True)}
            given.pop("padding_idx", None)
        return function(**given)

    return look_up


_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_PRODUCTS = (torch.bmm, Tensor.bmm, torch.mm, Tensor.mm, torch.einsum)

_SUBSTITUTES: dict[Callable, Callable] = {
    F.linear: _linear,
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), _matmul),
    **{product: _anew(product) for product in _CONVOLUTIONS + _PRODUCTS},
    # Normalisations subtract a mean, and a softmax makes its outputs compete: both cancel.
    **dict.fromkeys((F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm), _unchanged),
    # A vector of length one does not grow with its elements (attention by cosines).
    F.normalize: _unchanged,
    **dict.fromkeys((F.softmax, torch.softmax, Tensor.softmax), _softmax),
    **dict.fromkeys((F.log_softmax, torch.log_softmax, Tensor.log_softmax), _reached),
    # Without a derivative beyond a bound, or where nothing arrives.
    **dict.fromkeys((F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6, F.hardtanh), _reached),
    **dict.fromkeys((F.sigmoid, torch.sigmoid, Tensor.sigmoid, F.hardsigmoid), _gate),
    **dict.fromkeys((F.tanh, torch.tanh, Tensor.tanh), _reached),
    # Of a maximum only the winner has a derivative, and on real images any position may win.
    F.max_pool1d: _average_pool(F.avg_pool1d),
    F.max_pool2d: _average_pool(F.avg_pool2d),
    F.max_pool3d: _average_pool(F.avg_pool3d),
    F.adaptive_max_pool1d: _adaptive_pool(F.adaptive_avg_pool1d),
    F.adaptive_max_pool2d: _adaptive_pool(F.adaptive_avg_pool2d),
    F.adaptive_max_pool3d: _adaptive_pool(F.adaptive_avg_pool3d),
    F.scaled_dot_product_attention: _attention,
    F.multi_head_attention_forward: _multi_head_attention,
    # Their gates saturate.
    **dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), _recurrent),
    **dict.fromkeys((torch.lstm_cell, torch.gru_cell, torch.rnn_tanh_cell, torch.rnn_relu_cell), _recurrent_cell),
    F.embedding: _lookup(F.embedding),
    F.embedding_bag: _lookup(F.embedding_bag),
}


def network_input(image: Tensor) -> Tensor:
    """Mark `image` as what the network is given, so that what is computed from it is known to follow it."""
    image.follows_input = True
    return image


def _follows_input(tensor: Tensor) -> bool:
    # Numbers and truth values have no gradient, but those that are computed from a feature follow the input as well.
    return tensor.requires_grad or getattr(tensor, "follows_input", False)


class PositivePropagation(TorchFunctionMode):
    """While it is entered, a network with weights >= 0 and no biases computes sums of products of positive numbers.

    Works on whatever the network calls, as a module or as a function. Its input is to be a `network_input`.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = _SUBSTITUTES.get(func, func)(*args, **kwargs)
        if any(_follows_input(tensor) for tensor in _tensors(*args, *kwargs.values())):
            for tensor in _tensors(result):
                tensor.follows_input = True
        return result


def _tensors(*values: object) -> Iterator[Tensor]:
    """The tensors among the values, and among the elements of those that are lists."""
    for value in values:
        yield from (x for x in (value if isinstance(value, list | tuple) else (value,)) if isinstance(x, Tensor))
