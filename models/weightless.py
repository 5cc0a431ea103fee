"""Networks without memory for their weights: names and shapes alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .networks import NETWORKS, build
from .task import Task


def build_weightless(name: str, task: Task) -> nn.Module:
    """Build the network `name` for `task` on the device "meta", where tensors have shapes and no values.

    A user's function, which may look at its weights, builds it on the CPU. Raises `InputError` as `build` does.
    """
    if NETWORKS.is_users(name):
        return build(name, task, 0)
    with torch.device("meta"), _WithoutDraws():
        return build(name, task, 0)


class _WithoutDraws(TorchFunctionMode):
    """Leaves out the random numbers of initial weights, for which torch would import its compiler on this device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in (torch.Tensor.normal_, torch.Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))
