"""Operations that move elements, and compute nothing of them."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .dependence import Dependence
from .operation import Operation, mix_all, results


def move(operation: Operation) -> Iterable[Dependence]:
    """Move what is known of the elements as the operation moves them."""
    value = operation.arguments.get("value")
    if not operation.indices_fixed or operation.arguments.get("reduce") is not None:
        return mix_all(operation)
    if isinstance(value, Dependence | None):
        return results(operation, operation.run)

    def written(replaced: Callable[[Dependence], Tensor]) -> tuple[Tensor, ...]:
        number = 0.0 if replaced is Dependence.varying else float(value != 0)
        return operation.having(value=number).run(replaced)

    return results(operation, written)


def keep(operation: Operation) -> Iterator[Dependence]:
    """Pass a tensor on, perhaps as another type; further results say nothing of it."""
    given = operation.operands[0]
    yield Dependence(operation.shapes[0], given.varies, given.nonzero)
    for shape in operation.shapes[1:]:
        yield Dependence(shape)


def forget(operation: Operation) -> Iterator[Dependence]:
    """Make a tensor of which nothing is known but that it does not depend on the operand."""
    for shape in operation.shapes:
        yield Dependence(shape)


def fill(operation: Operation) -> Iterator[Dependence]:
    """Make a tensor of which the operand gives the shape alone."""
    for value in operation.run(lambda operand: torch.empty(operand.shape)):
        yield Dependence.constant(value)


def reshape(operation: Operation) -> Iterable[Dependence]:
    """Put the elements into another shape, in their order."""
    if not isinstance(operation.arguments.get("size", operation.arguments.get("shape")), list | tuple):
        # The bits of a tensor read as another type.
        return mix_all(operation)
    (shape,) = operation.shapes
    return results(operation, lambda replaced: [replaced(operation.operands[0]).reshape(shape)])


def restride(operation: Operation) -> Iterable[Dependence]:
    """Lay the elements out in memory: as they are, or in another order, of which nothing is known."""
    (shape,) = operation.shapes
    usual, count = {}, 1
    for axis in reversed(range(len(shape))):
        usual[axis], count = count, count * shape[axis]
    in_order = all(operation.arguments["stride"][axis] == usual[axis] or shape[axis] == 1 for axis in usual)
    return keep(operation) if in_order and operation.operands[0].shape == shape else mix_all(operation)


def take_over(operation: Operation) -> Iterable[Dependence]:
    """Take the elements of another tensor."""
    source: Dependence = operation.arguments["src"]
    return results(operation, lambda replaced: [replaced(source).expand(operation.shapes[0])])


def pad(operation: Operation) -> Iterator[Dependence]:
    """Put a number around the elements."""
    given, around, value = (operation.arguments[name] for name in ("self", "pad", "value"))
    (shape,) = operation.shapes
    varies = None if given.varies is None else F.pad(given.varies, list(around))
    nonzero = None if given.nonzero is None else F.pad(given.nonzero, list(around), value=float(value != 0))
    if given.nonzero is None and operation.wants_nonzero and not value:
        nonzero = F.pad(given.filled(), list(around))
    yield Dependence(shape, varies, nonzero)
