"""A forward pass in which every output grows with every input and weight that it is connected to."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

#: One number for all axes of an image, or one for each.
Size = int | Sequence[int]


def _unchanged(input: Tensor, *_: object, **__: object) -> Tensor:
    return input


class _Reached(torch.autograd.Function):
    """1 where the input is positive, 0 elsewhere; backward the same of the gradient, whatever the input is.

    Only whether a number is zero matters. As every layer starts from 0 and 1, numbers neither vanish nor overflow
    however deep the network is, and single precision is exact.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor) -> Tensor:
        return (input > 0).to(input.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return (gradient > 0).to(gradient.dtype)


def _reached(input: Tensor, *_: object, **__: object) -> Tensor:
    """Replace an activation: pass gradients also to units that no path reaches yet."""
    reached: Tensor = _Reached.apply(input)
    return reached


def _gate(input: Tensor, *_: object, **__: object) -> Tensor:
    """Replace a sigmoid: open at zero, with a derivative that large inputs do not round to zero."""
    return 1 + _reached(input)


def _anew(multiply: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a product of features with weights or with one another that computes from zeros and ones."""

    def product(*operands: object, **settings: object) -> Tensor:
        return multiply(*map(_as_reached, operands), **{name: _as_reached(x) for name, x in settings.items()})

    return product


def _as_reached(operand: object) -> object:
    if not isinstance(operand, Tensor) or not operand.is_floating_point():
        return operand
    if operand.is_leaf and operand.requires_grad:
        # A mask.
        return operand
    # Fixed numbers connect whatever their sign.
    return _Reached.apply(operand) if _follows_input(operand) else (operand != 0).to(operand.dtype)


def _average_pool(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda input, *window, **named: pool(input, *_window(*window, **named))


def _window(
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Size, Size | None, Size, bool]:
    """Return the arguments of an average pool for those of a maximum pool."""
    return kernel_size, stride, padding, ceil_mode


def _adaptive_pool(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda input, output_size, return_indices=False: pool(input, output_size)


def _softmax(input: Tensor, dim: int | None = -1, *_: object, **__: object) -> Tensor:
    """Replace a softmax by shares that are open at zero: where all scores are equal, it attends to all keys.

    A key that an attention mask has pushed far below zero gets no share.
    """
    return torch.where(input < 0, 0.0, _gate(input)) / input.shape[-1 if dim is None else dim]


_linear, _matmul = _anew(F.linear), _anew(torch.matmul)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: object, **__: object) -> Tensor:
    """Let every token attend to every other, whatever the mask of the attention."""
    return _matmul(_softmax(_matmul(query, key.transpose(-2, -1))), value)


def _multi_head_attention(*args: object, **kwargs: object) -> tuple[Tensor, None]:
    """Compute `nn.MultiheadAttention` of tokens of shape (tokens, batch, features) or (tokens, features)."""
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
        # One more token, the same for every image.
        extra = (given[name].view(-1).expand_as(key[:1]) for name in ("bias_k", "bias_v"))
        key, value = (torch.cat(pair) for pair in zip((key, value), extra, strict=True))
    # Heads and tokens to the axes that are multiplied: (…, heads, tokens, features of a head).
    heads = (x.unflatten(-1, (given["num_heads"], -1)).movedim(0, -2) for x in (query, key, value))
    mixed = _attention(*heads).movedim(-2, 0).flatten(-2)
    return _linear(mixed, given["out_proj_weight"]), None


def _recurrent(
    input: Tensor, states: Tensor | Sequence[Tensor], weights: Sequence[Tensor], *settings: Any
) -> tuple[Tensor, ...]:
    """Replace a recurrent layer, which is never pruned: let every step see all features of all steps and states."""
    # The settings are bias, layers, dropout, training, both_ways, and batch_first or none.
    both_ways, batch_first = (*settings, False)[4:6]
    states = [states] if isinstance(states, Tensor) else states
    seen = input.mean((1 if batch_first else 0, 2)) + sum(state.mean((0, 2)) for state in states)
    steps = seen[:, None, None] if batch_first else seen[None, :, None]
    outputs = steps.expand(*input.shape[:2], states[0].shape[-1] * (2 if both_ways else 1))
    return outputs, *(seen[None, :, None].expand_as(state) for state in states)


def _recurrent_cell(
    input: Tensor, states: Tensor | Sequence[Tensor], *_: object, **__: object
) -> Tensor | tuple[Tensor, ...]:
    several = [states] if isinstance(states, Tensor) else states
    seen = input.mean(-1, keepdim=True) + sum(state.mean(-1, keepdim=True) for state in several)
    after = tuple(seen.expand_as(state) for state in several)
    return after[0] if isinstance(states, Tensor) else after


def _lookup(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a lookup of rows: a row chosen by its position is that row; a row chosen by the image may be any."""
    signature = inspect.signature(function)

    def look_up(*args: object, **kwargs: object) -> Tensor:
        given = signature.bind(*args, **kwargs).arguments
        if _follows_input(given["input"]):
            given |= {"input": torch.zeros_like(given["input"]), "weight": given["weight"].mean(0, keepdim=True)}
            given.pop("padding_idx", None)
        return function(**given)

    return look_up


_CONVOLUTIONS = (F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_PRODUCTS = (torch.bmm, Tensor.bmm, torch.mm, Tensor.mm, torch.einsum)

_SUBSTITUTES: dict[Callable[..., Any], Callable[..., Any]] = {
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


#: The attribute of a tensor that is computed from the network's input.
_MARK = "follows_input"


def network_input(image: Tensor) -> Tensor:
    """Mark `image` as the network's input: tensors that are computed from it get the mark too."""
    setattr(image, _MARK, True)
    return image


def _follows_input(tensor: Tensor) -> bool:
    # Integers and booleans have no gradient, but those that are computed from a feature follow the input as well.
    return tensor.requires_grad or getattr(tensor, _MARK, False)


class PositivePropagation(TorchFunctionMode):
    """A mode in which a network with weights >= 0 and no biases computes sums of products of positive numbers.

    It replaces functions however the network calls them, as a module or as a function. The input must be a
    `network_input`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = _SUBSTITUTES.get(func, func)(*args, **kwargs)
        if any(_follows_input(tensor) for tensor in _tensors(*args, *kwargs.values())):
            for tensor in _tensors(result):
                setattr(tensor, _MARK, True)
        return result


def _tensors(*values: object) -> Iterator[Tensor]:
    """Yield the tensors among the values, and among the elements of those that are lists or tuples."""
    for value in values:
        yield from (x for x in (value if isinstance(value, list | tuple) else (value,)) if isinstance(x, Tensor))
