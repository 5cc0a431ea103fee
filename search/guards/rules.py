"""How the operations of torch pass dependence on, from operands to results.

The operations are those of ATen, to which torch brings down all others. One that is not known here lets every element
of its results depend on every element of its operands: weights may then be counted that lie on no path, and none is
missed.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.nn import functional as F

from .dependence import Dependence, either, reached, spread
from .operation import Operation, is_random, name_of

Rule = Callable[[Operation], Iterable[Dependence]]


def passed_on(operation: Operation) -> tuple[Dependence, ...]:
    """Return the dependence of the results of an operation."""
    rule = _RULES.get(operation.name) or _rule_by_kind(operation.function)
    try:
        return tuple(rule(operation))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError):
        # On operands that the rule does not expect, such as complex numbers.
        return tuple(_unknown(operation))


def unknown(operands: Iterable[Dependence], shapes: Iterable[tuple[int, ...]]) -> Iterator[Dependence]:
    """Let every element of the results depend on every element of the operands."""
    operands = list(operands)
    varies = either(*(reached(each.varies.sum()) for each in operands if each.varies is not None))
    masks = either(*(reached(each.filled().sum()) for each in operands if each.is_mask))
    for shape in shapes:
        yield Dependence(shape, *(None if found is None else found.expand(shape) for found in (varies, masks)))


def is_product(function: object) -> bool:
    """Return whether an operation multiplies operands, so that it matters where they are 0."""
    return isinstance(function, OpOverload) and (name_of(function) == "div" or name_of(function) in _PRODUCTS)


def _unknown(operation: Operation) -> Iterator[Dependence]:
    return unknown(operation.operands, operation.shapes)


def _rule_by_kind(function: OpOverload) -> Rule:
    returned = function._schema.returns
    if returned and all(each.alias_info is not None and not each.alias_info.is_write for each in returned):
        return _move
    if is_random(function):
        return _constant
    return _by_element if torch.Tag.pointwise in function.tags else _unknown


def _results(operation: Operation, compute: Callable[[Callable[[Dependence], Tensor]], Any]) -> Iterator[Dependence]:
    """Yield the results that `compute` makes, called with what stands for an operand: what varies, or is not 0."""
    given = operation.operands
    nothing = [None] * len(operation.shapes)
    varies = compute(Dependence.varying) if any(each.varies is not None for each in given) else nothing
    asked = any(each.is_mask for each in given) if varies is nothing else operation.wants_zeros
    filled = compute(Dependence.filled) if asked and any(each.nonzero is not None for each in given) else nothing
    for shape, some, other in zip(operation.shapes, varies, filled, strict=True):
        yield Dependence(shape, some, other if some is None or other is None else other.detach())


def _move(operation: Operation) -> Iterable[Dependence]:
    """Move what is known of the elements as the operation moves them."""
    if not operation.indices_fixed:
        return _unknown(operation)
    return _results(operation, operation.run)


def _sum(operation: Operation) -> Iterable[Dependence]:
    """Add with factors >= 0."""
    return _results(operation, lambda replaced: [reached(total) for total in operation.run(replaced)])


def _same(operation: Operation) -> Iterator[Dependence]:
    """Pass a tensor on, perhaps as another type; further results say nothing of it."""
    given = operation.operands[0]
    yield Dependence(operation.shapes[0], given.varies, given.nonzero)
    for shape in operation.shapes[1:]:
        yield Dependence(shape)


def _constant(operation: Operation) -> Iterator[Dependence]:
    for shape in operation.shapes:
        yield Dependence(shape)


def _filled(operation: Operation) -> Iterator[Dependence]:
    """Make a tensor of which the operand gives the shape alone."""
    for value in operation.run(lambda operand: torch.empty(operand.shape)):
        yield Dependence.on(value)


def _reshape(operation: Operation) -> Iterable[Dependence]:
    if not isinstance(operation.arguments.get("size", operation.arguments.get("shape")), list | tuple):
        # The bits of a tensor read as another type.
        return _unknown(operation)
    (shape,) = operation.shapes
    return _results(operation, lambda replaced: [replaced(operation.operands[0]).reshape(shape)])


def _stride(operation: Operation) -> Iterable[Dependence]:
    same = operation.operands[0].shape == operation.shapes[0]
    return _same(operation) if same else _unknown(operation)


def _copy(operation: Operation) -> Iterable[Dependence]:
    source: Dependence = operation.arguments["src"]
    return _results(operation, lambda replaced: [replaced(source).expand(operation.shapes[0])])


def _pad(operation: Operation) -> Iterator[Dependence]:
    given, around, value = (operation.arguments[name] for name in ("self", "pad", "value"))
    (shape,) = operation.shapes
    varies = None if given.varies is None else F.pad(given.varies, list(around))
    nonzero = None if given.nonzero is None else F.pad(given.nonzero, list(around), value=float(value != 0))
    if given.nonzero is None and operation.wants_zeros and not value:
        nonzero = F.pad(given.filled(), list(around))
    yield Dependence(shape, varies, nonzero)


def _by_element(operation: Operation) -> Iterator[Dependence]:
    """Compute each element from the operands' elements in its place."""
    (shape,) = operation.shapes
    given = operation.operands
    varies = either(*(each.varies for each in given))
    nonzero = None
    if (operation.wants_zeros or any(each.is_mask for each in given)) and _is_zero_at_zero(operation):
        parts = [each.nonzero for each in given]
        nonzero = None if any(part is None for part in parts) else either(*parts)
    yield Dependence(
        shape,
        None if varies is None else varies.expand(shape),
        None if nonzero is None else (nonzero if varies is None else nonzero.detach()).expand(shape),
    )


def _is_zero_at_zero(operation: Operation) -> bool:
    try:
        return not bool(torch.stack([each != 0 for each in operation.run(lambda _: torch.zeros(()))]).any())
    except (RuntimeError, NotImplementedError, TypeError):
        return False


def _product(operation: Operation) -> Iterator[Dependence]:
    """Multiply: an element depends on a factor where the other factor can be other than 0."""
    multiply, factors, addend = _PRODUCTS[operation.name]
    one, other = (_factor(operation.arguments[name]) for name in factors)
    added = [each for each in [operation.arguments.get(addend)] if isinstance(each, Dependence)]
    (shape,) = operation.shapes
    parts = [each.varies for each in added]
    if one.varies is not None:
        parts.append(reached(multiply(operation, one.varies, other.filled())))
    if other.varies is not None:
        parts.append(reached(multiply(operation, one.filled(), other.varies)))
    varies = either(*parts)
    nonzero = None
    asked = one.is_mask or other.is_mask if varies is None else operation.wants_zeros
    if asked and all(each.nonzero is not None for each in added):
        nonzero = either(reached(multiply(operation, one.filled(), other.filled())), *(each.nonzero for each in added))
    yield Dependence(
        shape,
        None if varies is None else varies.expand(shape),
        None if nonzero is None else (nonzero if varies is None else nonzero.detach()).expand(shape),
    )


def _factor(value: Dependence | float) -> Dependence:
    return value if isinstance(value, Dependence) else Dependence((), None, torch.tensor(float(value != 0)))


def _convolution(operation: Operation, one: Tensor, other: Tensor) -> Tensor:
    settings = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    result: Tensor = torch.ops.aten.convolution(one, other, None, *(operation.arguments[name] for name in settings))
    return result


def _quotient(operation: Operation) -> Iterator[Dependence]:
    """Divide: what stands below the line is not 0, and matters where something stands above it."""
    one, other = (_factor(operation.arguments[name]) for name in ("self", "other"))
    (shape,) = operation.shapes
    below = None if other.varies is None else reached(one.filled() * other.varies)
    varies = either(one.varies, below)
    yield Dependence(
        shape,
        None if varies is None else varies.expand(shape),
        None if one.nonzero is None else one.nonzero.expand(shape),
    )


def _mixture(operation: Operation) -> Iterator[Dependence]:
    """Let all elements along the axes meet: any may be the greatest, and the shares of a softmax are of one whole."""
    (given,) = operation.operands
    axes = operation.arguments.get("dim")
    axes = [axes] if isinstance(axes, int) else axes or range(len(given.shape))
    for shape in operation.shapes:
        varies = None if given.varies is None else spread(given.varies, axes, shape)
        yield Dependence(shape, varies, spread(given.filled(), axes, shape) if given.is_mask else None)


def _layer_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise over the last axes."""
    count = len(operation.arguments["normalized_shape"])
    return _normalised(operation, lambda varies: spread(varies, range(-count, 0), varies.shape))


def _group_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise over the channels of each group and all positions."""

    def normalise(varies: Tensor) -> Tensor:
        grouped = varies.reshape(len(varies), operation.arguments["group"], -1)
        return spread(grouped, [2], grouped.shape).reshape(varies.shape)

    return _normalised(operation, normalise)


def _batch_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise with running statistics, element by element; without them over all but the channels."""
    own = operation.arguments.get("running_mean") is None or operation.arguments.get("training", False)

    def normalise(varies: Tensor) -> Tensor:
        return spread(varies, [axis for axis in range(varies.ndim) if axis != 1], varies.shape) if own else varies

    return _normalised(operation, normalise)


def _normalised(operation: Operation, normalise: Callable[[Tensor], Tensor]) -> Iterator[Dependence]:
    given: Dependence = operation.arguments["input"]
    others = [each for each in operation.operands if each is not given and each.varies is not None]
    if others:
        # Its scale or its shift is computed from the input.
        yield from _unknown(operation)
        return
    for number, shape in enumerate(operation.shapes):
        # Further results are the statistics.
        if number:
            yield next(iter(unknown([given], [shape])))
        else:
            yield Dependence(shape, None if given.varies is None else normalise(given.varies))


def _max_pool(operation: Operation) -> Iterator[Dependence]:
    """Take the greatest of each window: any element of it may be that."""
    given = operation.arguments
    shape = operation.shapes[0]
    axes = 3 if "3d" in operation.name else 2
    size, stride, padding, dilation = (
        _each_axis(given[name], axes) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    stride = stride or size
    image = given["self"]

    def pooled(replaced: Callable[[Dependence], Tensor]) -> list[Tensor]:
        tensor = replaced(image)
        flat = tensor.reshape(-1, 1, *image.shape[-axes:])
        # As far as the last window reaches, which may be over the edge.
        ends = [
            (shape[axis - axes] - 1) * stride[axis]
            + dilation[axis] * (size[axis] - 1)
            + 1
            - padding[axis]
            - image.shape[axis - axes]
            for axis in range(axes)
        ]
        around = [edge for axis in reversed(range(axes)) for edge in (padding[axis], ends[axis])]
        convolve = F.conv3d if axes == 3 else F.conv2d
        found = reached(convolve(F.pad(flat, around), torch.ones(1, 1, *size), None, stride, 0, dilation))
        return [found.reshape(each) for each in operation.shapes]

    return _results(operation, pooled)


def _each_axis(value: int | list[int], axes: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def _adaptive_max_pool(operation: Operation) -> Iterator[Dependence]:
    average = F.adaptive_avg_pool3d if "3d" in operation.name else F.adaptive_avg_pool2d
    size = operation.arguments["output_size"]
    image: Dependence = operation.arguments["self"]
    return _results(
        operation, lambda replaced: [reached(average(replaced(image), tuple(size)))] * len(operation.shapes)
    )


def _lookup(operation: Operation) -> Iterator[Dependence]:
    """Look up rows of a table: the number of the row is the table's input, and the image may choose any.

    A table that is never pruned is like a fixed number.
    """
    table, rows = (operation.arguments[name] for name in ("weight", "indices"))
    shape = operation.shapes[0]
    if table.is_mask and rows.fixed is not None and operation.name == "embedding":
        padding = operation.arguments.get("padding_idx", -1)
        varies = F.embedding(rows.fixed.cpu(), table.nonzero, None if padding < 0 else padding)
    elif table.is_mask:
        varies = reached(table.nonzero.sum(0)).expand(shape)
    else:
        varies = None
    if rows.varies is not None:
        chosen = reached(rows.varies.sum()) if varies is None else reached(rows.varies.sum()) * varies.detach()
        varies = either(varies, chosen.expand(shape))
    yield Dependence(shape, varies)
    for other in operation.shapes[1:]:
        yield Dependence(other)


def _choose(operation: Operation) -> Iterator[Dependence]:
    """Take one of two in each place; which one is known where the condition is the same for every image."""
    given = operation.arguments
    (shape,) = operation.shapes
    chooses, one, other = (
        (given["mask"], given["value"], given["self"])
        if operation.name == "masked_fill"
        else (given["condition"], given["self"], given["other"])
    )
    if chooses.fixed is None:
        yield from _by_element(operation)
        return
    here = chooses.fixed.cpu().to(torch.float32)
    pairs = [(_factor(one), here), (_factor(other), 1 - here)]
    varies = either(*(each.varies * where for each, where in pairs if each.varies is not None))
    nonzero = None
    if operation.wants_zeros or (varies is None and any(each.is_mask for each, _ in pairs)):
        nonzero = either(*(each.filled() * where for each, where in pairs))
    yield Dependence(
        shape,
        None if varies is None else varies.expand(shape),
        None if nonzero is None else (nonzero if varies is None else nonzero.detach()).expand(shape),
    )


def _distances(operation: Operation) -> Iterator[Dependence]:
    """Measure every row against every other."""
    one, other = (operation.arguments[name] for name in ("x1", "x2"))
    (shape,) = operation.shapes
    rows = None if one.varies is None else one.varies.sum(-1)[..., :, None]
    columns = None if other.varies is None else other.varies.sum(-1)[..., None, :]
    varies = either(*(None if each is None else reached(each) for each in (rows, columns)))
    yield Dependence(shape, None if varies is None else varies.expand(shape))


#: For each product its way of multiplying, the names of its two factors, and of what is added.
_PRODUCTS: dict[str, tuple[Callable[[Operation, Tensor, Tensor], Tensor], tuple[str, str], str]] = {
    "mul": (lambda _, one, other: one * other, ("self", "other"), ""),
    "convolution": (_convolution, ("input", "weight"), "bias"),
    **{
        name: (lambda _, one, other: torch.matmul(one, other), factors, added)
        for name, factors, added in (
            ("mm", ("self", "mat2"), ""),
            ("bmm", ("self", "mat2"), ""),
            ("mv", ("self", "vec"), ""),
            ("dot", ("self", "tensor"), ""),
            ("addmm", ("mat1", "mat2"), "self"),
            ("baddbmm", ("batch1", "batch2"), "self"),
            ("addmv", ("mat", "vec"), "self"),
        )
    },
}

#: Each rule with the operations that follow it; views move elements too, and others with a tag are by element.
_FOLLOWERS: dict[Rule, str] = {
    _same: "_to_copy alias detach lift_fresh lift_fresh_copy clone native_dropout _conj real",
    _reshape: "view _unsafe_view reshape _reshape_alias",
    _stride: "as_strided as_strided_",
    _copy: "copy",
    _pad: "constant_pad_nd",
    _move: """
        cat stack repeat flip roll rot90 index _unsafe_index index_select gather take index_put _unsafe_index_put
        reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
        pixel_shuffle pixel_unshuffle channel_shuffle im2col col2im tril triu slice_scatter select_scatter
        diagonal_scatter scatter scatter_add index_add index_copy
    """,
    _sum: """
        sum mean cumsum trace avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d _adaptive_avg_pool2d
        _adaptive_avg_pool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
        _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d
        _upsample_bilinear2d_aa
    """,
    _mixture: """
        amax amin aminmax max min argmax argmin median mode kthvalue topk sort argsort any all prod cumprod cummax
        cummin logcumsumexp logsumexp var var_mean std std_mean norm linalg_vector_norm count_nonzero _softmax
        _log_softmax _safe_softmax _fft_r2c _fft_c2r _fft_c2c
    """,
    _layer_norm: "native_layer_norm _fused_rms_norm",
    _group_norm: "native_group_norm",
    _batch_norm: """
        native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_with_update
        _batch_norm_no_update
    """,
    _max_pool: "max_pool2d_with_indices max_pool3d_with_indices",
    _adaptive_max_pool: "adaptive_max_pool2d adaptive_max_pool3d",
    _lookup: "embedding _embedding_bag _embedding_bag_forward_only",
    _choose: "where masked_fill",
    _distances: "_cdist_forward _euclidean_dist",
    _filled: "full_like zeros_like ones_like new_zeros new_ones new_full",
    _constant: "empty_like new_empty rand_like randn_like randint_like",
    _quotient: "div",
    _product: " ".join(_PRODUCTS),
}

_RULES = {name: rule for rule, names in _FOLLOWERS.items() for name in names.split()}
