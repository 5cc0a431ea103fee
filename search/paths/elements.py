"""Operations that compute each element from the operands' elements in its place, and products."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .dependence import Dependence, either, number, reached
from .operation import Operation


def compute_each(operation: Operation) -> Iterator[Dependence]:
    """Compute each element from the operands' elements in its place."""
    (shape,) = operation.shapes
    given = operation.operands
    varies = either(*(each.varies for each in given))
    nonzero = None
    if (operation.wants_nonzero or any(each.is_mask for each in given)) and _is_zero_at_zero(operation):
        parts = [each.nonzero for each in given]
        nonzero = None if any(part is None for part in parts) else either(*parts)
    yield Dependence.computed(shape, varies, nonzero)


def _is_zero_at_zero(operation: Operation) -> bool:
    try:
        return not bool(torch.stack([each != 0 for each in operation.run(lambda _: torch.zeros(()))]).any())
    except (RuntimeError, NotImplementedError, TypeError):
        return False


def choose(operation: Operation) -> Iterator[Dependence]:
    """Take one of two in each place; which one is known where the condition is the same for every image."""
    given = operation.arguments
    (shape,) = operation.shapes
    chooses, one, other = (
        (given["mask"], given["value"], given["self"])
        if operation.name == "masked_fill"
        else (given["condition"], given["self"], given["other"])
    )
    if chooses.fixed is None:
        yield from compute_each(operation)
        return
    here = chooses.fixed.cpu().to(torch.float32)
    pairs = [(number(one), here), (number(other), 1 - here)]
    varies = either(*(each.varies * where for each, where in pairs if each.varies is not None))
    nonzero = None
    if operation.wants_nonzero or (varies is None and any(each.is_mask for each, _ in pairs)):
        nonzero = either(*(each.filled() * where for each, where in pairs))
    yield Dependence.computed(shape, varies, nonzero)


def multiply(operation: Operation) -> Iterator[Dependence]:
    """Multiply: an element depends on a factor where the other factor can be other than 0."""
    product, factors, addend = PRODUCTS[operation.name]
    one, other = (number(operation.arguments[name]) for name in factors)
    added = [each for each in [operation.arguments.get(addend)] if isinstance(each, Dependence)]
    (shape,) = operation.shapes
    parts = [each.varies for each in added]
    if one.varies is not None:
        parts.append(reached(product(operation, one.varies, other.filled())))
    if other.varies is not None:
        parts.append(reached(product(operation, one.filled(), other.varies)))
    varies, nonzero = either(*parts), None
    masked = varies is None and (one.is_mask or other.is_mask)
    if masked or (operation.wants_nonzero and all(each.nonzero is not None for each in added)):
        nonzero = reached(product(operation, one.filled(), other.filled()))
    if masked:
        # A tensor that no image changes is an input of its own where a weight is applied to it: a table, a code.
        varies = nonzero
    if nonzero is not None and added:
        nonzero = None if any(each.nonzero is None for each in added) else either(nonzero, *(e.nonzero for e in added))
    yield Dependence.computed(shape, varies, nonzero)


def divide(operation: Operation) -> Iterator[Dependence]:
    """Divide: what stands below the line is not 0, and matters where something stands above it."""
    one, other = (number(operation.arguments[name]) for name in ("self", "other"))
    (shape,) = operation.shapes
    below = None if other.varies is None else reached(one.filled() * other.varies)
    varies = either(one.varies, below)
    yield Dependence.computed(shape, varies, one.nonzero)


def _convolution(operation: Operation, one: Tensor, other: Tensor) -> Tensor:
    settings = ("stride", "padding", "dilation", "transposed", "output_padding", "groups")
    result: Tensor = torch.ops.aten.convolution(one, other, None, *(operation.arguments[name] for name in settings))
    return result


#: For each product its way of multiplying, the names of its two factors, and of what is added.
PRODUCTS: dict[str, tuple[Callable[[Operation, Tensor, Tensor], Tensor], tuple[str, str], str]] = {
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
    "addbmm": (lambda _, one, other: torch.bmm(one, other).sum(0), ("batch1", "batch2"), "self"),
}
