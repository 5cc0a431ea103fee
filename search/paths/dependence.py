"""The dependence of a tensor on the network's input, element by element, and the steps by which it is passed on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


@dataclass(frozen=True)
class Dependence:
    """What is known of a tensor of the network, by element; the tensors here are 0 or 1, in single precision.

    `varies` says which elements depend on the input; None: none. Its derivative by a mask is positive exactly where the
    weight passes that dependence on, or would if it were kept. `nonzero` says which elements can be other than 0; None:
    all. `fixed` is the tensor itself where nothing that is trained is in it.
    """

    shape: tuple[int, ...]
    varies: Tensor | None = None
    nonzero: Tensor | None = None
    fixed: Tensor | None = None

    @classmethod
    def constant(cls, value: Tensor) -> "Dependence":
        """Return the dependence of a tensor that is the same for every image, and is never trained."""
        return cls(tuple(value.shape), None, (value.cpu() != 0).float(), value)

    @classmethod
    def computed(cls, shape: tuple[int, ...], varies: Tensor | None, nonzero: Tensor | None) -> "Dependence":
        """Return the dependence of a computed tensor, its parts broadcast to its shape.

        Where the tensor varies, derivatives by masks go through `varies` alone.
        """
        return cls(
            shape,
            None if varies is None else varies.expand(shape),
            None if nonzero is None else (nonzero if varies is None else nonzero.detach()).expand(shape),
        )

    @property
    def is_mask(self) -> bool:
        """Whether it is a mask, or computed from masks alone."""
        return self.nonzero is not None and self.nonzero.requires_grad

    def varying(self) -> Tensor:
        """Return `varies` as a tensor."""
        return torch.zeros(self.shape) if self.varies is None else self.varies

    def filled(self) -> Tensor:
        """Return `nonzero` as a tensor."""
        return torch.ones(self.shape) if self.nonzero is None else self.nonzero


class _Reached(torch.autograd.Function):
    """1 where the input is positive, 0 elsewhere; backward the same of the gradient, whatever the input is.

    Numbers then neither vanish nor overflow however deep the network is, and single precision is exact.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, input: Tensor) -> Tensor:
        return (input > 0).to(input.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return (gradient > 0).to(gradient.dtype)


def reached(total: Tensor) -> Tensor:
    """Return 1 where a sum of numbers >= 0 is positive. Gradients pass also where it is not."""
    result: Tensor = _Reached.apply(total)
    return result


def either(*parts: Tensor | None) -> Tensor | None:
    """Return 1 where one of the parts is, broadcast; parts that are None are 0."""
    given = [part for part in parts if part is not None]
    if len(given) < 2:
        return given[0] if given else None
    total = given[0]
    for part in given[1:]:
        total = total + part
    return reached(total)


def spread(varies: Tensor, axes: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Let every element along the `axes` depend on all of them; the result has `shape`.

    A shape that lacks the axes is that of a reduction.
    """
    if varies.ndim == 0:
        return varies.expand(tuple(shape))
    kept = varies.sum(list(axes), keepdim=True)
    found = reached(kept)
    if len(shape) == varies.ndim:
        return found.expand(tuple(shape))
    if math.prod(shape) == found.numel():
        return found.reshape(tuple(shape))
    return reached(found.sum()).expand(tuple(shape))


def number(value: Dependence | float) -> Dependence:
    """Return what is known of an operand that is a tensor or a number."""
    return value if isinstance(value, Dependence) else Dependence((), None, torch.tensor(float(value != 0)))


def tensors(values: Any) -> list[Dependence]:
    """Return the dependences among values, and among the elements of those that are lists or tuples."""
    if isinstance(values, Dependence):
        return [values]
    if isinstance(values, list | tuple):
        return [found for value in values for found in tensors(value)]
    return []
