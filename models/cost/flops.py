"""The floating point operations of a network's forward pass, by the weights that they multiply with."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ..eager import uncompiled
from ..layers import each_prunable

#: Operations of aten that copy all elements of a tensor, perhaps in another dtype or order.
_COPIES = ("clone", "_to_copy")


@dataclass(frozen=True)
class Use:
    """One operation that multiplies with a weight, or with a part of it."""

    positions: int
    """Numbers that each element is multiplied with: the places where a filter lies, the rows of a linear layer."""
    part: tuple[tuple[int, ...], tuple[int, ...], int] | None = None
    """Size, strides and offset of the part in the weight's C order; None: the whole weight, in any order."""

    def flops(self, mask: np.ndarray) -> int:
        """Return the operations that the kept weights of `mask` take: two for each multiply-add."""
        if self.part is None:
            return 2 * self.positions * int(np.count_nonzero(mask))
        size, strides, offset = self.part
        part = torch.from_numpy(np.array(mask, order="C")).as_strided(size, strides, offset)
        return 2 * self.positions * int(part.count_nonzero())


@dataclass(frozen=True)
class Flops:
    """The floating point operations of one forward pass: `uses` of the prunable weights by name, and all `others`.

    As torch's FlopCounterMode counts them: two for each multiply-add of matrix products, convolutions and attention,
    none for biases, normalisations, activations and rows that an embedding looks up.
    """

    uses: Mapping[str, tuple[Use, ...]]
    others: int

    def of(self, name: str, mask: np.ndarray) -> int:
        """Return the operations with the kept weights of the parameter `name`; 0 of one that is not prunable."""
        return sum(use.flops(mask) for use in self.uses.get(name, ()))


def count_flops(model: nn.Module, inputs: torch.Tensor) -> Flops:
    """Return the operations of a copy of `model` on the CPU, in evaluation mode, on `inputs`, which lie there too.

    A weight is found wherever the network uses it, as a parameter, a view or a copy in another dtype. What the network
    computes from a weight before it multiplies counts among the others. Raises what the network raises.
    """
    trial = copy.deepcopy(model).cpu().eval()
    for parameter in trial.parameters():
        parameter.data = parameter.data.contiguous()
    counter = _Counter(trial)
    fast = torch.backends.mha.get_fastpath_enabled()
    # Attention in one operation would hide its products.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), uncompiled(), counter:
            trial(inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return Flops({name: tuple(uses) for name, uses in counter.uses.items()}, counter.others)


class _Counter(TorchDispatchMode):
    """A mode that counts operations by the memory of the weights that they are given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uses: dict[str, list[Use]] = {}
        self.others = 0
        self._weights: dict[str, torch.Tensor] = {}
        # By the memory that all views of a tensor share; the flag says whether elements lie in the weight's own order.
        self._memory: dict[int, tuple[str, bool]] = {}
        # Memory that is free again may become another tensor's.
        self._alive: list[torch.Tensor] = []
        for name, _, weight in each_prunable(model):
            self.uses[name] = []
            self._weights[name] = weight
            self._memory[_memory(weight)] = (name, True)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch would import its compiler, which takes a second, to keep it away from this mode."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        operation = func.overloadpacket
        if operation not in flop_registry:
            with self:
                parts = func.decompose(*args, **given)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **given)
        if operation in flop_registry:
            self._count(flop_registry[operation](*args, **given, out_val=result), args)
        elif operation.__name__ in _COPIES and (found := self._weight(args[0])):
            self._memory[_memory(result)] = (found, False)
            self._alive.append(result)
        return result

    def _count(self, flops: int, args: tuple[Any, ...]) -> None:
        for tensor in tree_leaves(args):
            if isinstance(tensor, torch.Tensor) and (use := self._use(tensor, flops)):
                name, found = use
                self.uses[name].append(found)
                return
        self.others += flops

    def _use(self, tensor: torch.Tensor, flops: int) -> tuple[str, Use] | None:
        """Return the weight that a tensor holds elements of, and its use in an operation; None where it holds none."""
        name, in_order = self._memory.get(_memory(tensor), ("", False))
        each = 2 * tensor.numel()
        # Of a bias, or of what is only added, no number of operations is a multiple.
        if not name or not each or flops % each:
            return None
        if self._weight(tensor):
            return name, Use(flops // each)
        if not in_order:
            return None
        return name, Use(flops // each, (tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())))

    def _weight(self, tensor: torch.Tensor) -> str | None:
        """Return the weight of which a tensor holds every element once, in any order."""
        name, _ = self._memory.get(_memory(tensor), ("", False))
        if not name or tensor.numel() != self._weights[name].numel():
            return None
        return None if any(stride == 0 < length - 1 for length, stride in _axes(tensor)) else name


def _memory(tensor: torch.Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata
    return memory


def _axes(tensor: torch.Tensor) -> list[tuple[int, int]]:
    return list(zip(tensor.shape, tensor.stride(), strict=True))
