"""Networks by name."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from .architectures.registry import DEFAULT_TASKS, NETWORKS, default_task
from .architectures.torchvision import ADAPTATIONS
from .seeds import derive
from .sharing import copied
from .task import Task
from .usernetwork import from_user
from .weights import check_state

__all__ = ["DEFAULT_TASKS", "NETWORKS", "Task", "adaptations", "build", "default_task", "initial_state"]


def build(name: str, task: Task, seed: int) -> nn.Module:
    """Build the network `name` for `task` on the CPU, its initial weights a function of `seed` alone.

    `name` is one of `NETWORKS`, `wrn-28-K`, `torchvision:NAME`, or `module:function`, which is called with the
    keywords channels, size and classes and returns an `nn.Module`. The global generators are left as they were.
    Raises `InputError` for an unknown name, a task that the network cannot take, and a user's function that fails or
    returns what cannot be pruned (see `from_user`).
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which seeds every GPU's generator too.
        torch.default_generator.manual_seed(derive(seed, "initial weights"))
        return _constructor(name)(task)


def initial_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the state dict, parameters and buffers, on the CPU; names of one tensor have one.

    Raises `InputError` for other entries.
    """
    return copied(check_state(model.state_dict()))


def adaptations(model: nn.Module) -> tuple[str, ...]:
    """Return what `build` changed against the published network to fit the task, in short sentences, often none."""
    return tuple(vars(model).get(ADAPTATIONS, ()))


def _constructor(name: str) -> Callable[[Task], nn.Module]:
    return partial(from_user, name) if NETWORKS.is_users(name) else NETWORKS.find(name)
