"""One operation of a trace, with what is known of its operands."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from .dependence import Dependence, either, reached, tensors

#: How an operation passes dependence on: it makes that of the results.
Rule = Callable[["Operation"], Iterable[Dependence]]

#: Names that torch gives to arguments that say which elements are taken.
_INDICES = ("index", "indices")


@dataclass(frozen=True)
class Operation:
    """An ATen operation with its arguments by the names that torch gives them, tensors as `Dependence`."""

    function: OpOverload
    arguments: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    """Of its results."""
    wants_nonzero: bool
    """Whether it is asked which elements of the results can be other than 0."""

    @property
    def name(self) -> str:
        """Its name without namespace and overload."""
        return name_of(self.function)

    @property
    def operands(self) -> list[Dependence]:
        """The tensors among its arguments."""
        return tensors(list(self.arguments.values()))

    @property
    def indices_fixed(self) -> bool:
        """Whether the elements that it takes are the same for every image."""
        return all(each.fixed is not None for name in _INDICES for each in tensors(self.arguments.get(name)))

    def having(self, **arguments: Any) -> "Operation":
        """Return the operation with other arguments in the place of those that it has of these names."""
        known = {name: value for name, value in arguments.items() if name in self.arguments}
        return replace(self, arguments={**self.arguments, **known})

    def run(self, replaced: Callable[[Dependence], Tensor]) -> tuple[Tensor, ...]:
        """Return the results of the operation on other tensors in the places of its operands; indices stay."""
        positional, named = [], {}
        for argument in self.function._schema.arguments:
            if argument.name not in self.arguments:
                continue
            value = _replace(self.arguments[argument.name], _fixed if argument.name in _INDICES else replaced)
            if argument.kwarg_only:
                named[argument.name] = value
            else:
                positional.append(value)
        results = self.function(*positional, **named)
        return tuple(results) if isinstance(results, list | tuple) else (results,)


def bind(function: OpOverload, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by the names that torch gives them, defaults included, in the order of its signature."""
    given = {**dict(zip((each.name for each in function._schema.arguments), arguments, strict=False)), **named}
    return {
        each.name: given.get(each.name, each.default_value)
        for each in function._schema.arguments
        if each.name in given or each.has_default_value()
    }


def name_of(function: OpOverload) -> str:
    """Return the name of an operation without namespace and overload."""
    return str(function.overloadpacket.__name__)


def _fixed(index: Dependence) -> Tensor:
    assert index.fixed is not None, "the caller has looked"
    return index.fixed.cpu()


def _replace(value: Any, replaced: Callable[[Dependence], Tensor]) -> Any:
    if isinstance(value, Dependence):
        return replaced(value)
    if isinstance(value, list | tuple):
        return [_replace(each, replaced) for each in value]
    return value


def is_random(function: object) -> bool:
    """Return whether an operation draws random numbers."""
    return isinstance(function, OpOverload) and torch.Tag.nondeterministic_seeded in function.tags


def unknown(operands: Iterable[Dependence], shapes: Iterable[tuple[int, ...]]) -> Iterator[Dependence]:
    """Let every element of the results depend on every element of the operands, masks among them."""
    operands = list(operands)
    varies = either(*(reached(each.varies.sum()) for each in operands if each.varies is not None))
    masks = either(*(reached(each.filled().sum()) for each in operands if each.is_mask))
    if varies is not None and masks is not None:
        varies, masks = reached(varies + varies.detach() * masks), None
    for shape in shapes:
        yield Dependence(shape, *(None if found is None else found.expand(shape) for found in (varies, masks)))


def mix_all(operation: Operation) -> Iterator[Dependence]:
    """Let every element of the results depend on every element of the operands: the rule of unknown operations."""
    return unknown(operation.operands, operation.shapes)


def results(operation: Operation, compute: Callable[[Callable[[Dependence], Tensor]], Any]) -> Iterator[Dependence]:
    """Yield the results that `compute` makes, called with what stands for an operand: what varies, or is not 0."""
    given = operation.operands
    nothing = [None] * len(operation.shapes)
    varies = compute(Dependence.varying) if any(each.varies is not None for each in given) else nothing
    asked = any(each.is_mask for each in given) if varies is nothing else operation.wants_nonzero
    filled = compute(Dependence.filled) if asked and any(each.nonzero is not None for each in given) else nothing
    for shape, some, other in zip(operation.shapes, varies, filled, strict=True):
        # A result may have been asked for in another type.
        some, other = (None if each is None else each.to(torch.float32) for each in (some, other))
        yield Dependence.computed(shape, some, other)
