"""Networks by name."""

from collections.abc import Callable

import torch
from torch import nn

from .architectures import digits_cnn, resnet20, torchvision
from .errors import InputError, nearest
from .seeds import derive
from .task import Task
from .userfunction import call
from .weights import check_state

__all__ = ["DEFAULT_TASKS", "NETWORKS", "Task", "build", "initial_state"]

NETWORKS: dict[str, Callable[[Task], nn.Module]] = {
    "digits_cnn": digits_cnn.DigitsCNN,
    "resnet20": resnet20.ResNet20,
}

DEFAULT_TASKS: dict[str, Task] = {
    "digits_cnn": Task(channels=1, size=8, classes=10),
    "resnet20": Task(channels=3, size=32, classes=10),
}


def build(name: str, task: Task, seed: int) -> nn.Module:
    """Build the network `name` for `task` on the CPU, its initial weights a function of `seed` alone.

    `name` is one of `NETWORKS`, `torchvision:NAME`, or `module:function`, which is called with the keywords channels,
    size and classes and returns an `nn.Module`. The global generators are left as they were.
    Raises `InputError` for an unknown name, a task that the network cannot take, and a user's function that fails.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which seeds every GPU's generator too.
        torch.default_generator.manual_seed(derive(seed, "initial weights"))
        return _constructor(name)(task)


def initial_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the state dict, parameters and buffers, on the CPU. Raises `InputError` for other entries."""
    return {name: tensor.detach().cpu().clone() for name, tensor in check_state(model.state_dict()).items()}


def _constructor(name: str) -> Callable[[Task], nn.Module]:
    if name in NETWORKS:
        return NETWORKS[name]
    kind, colon, rest = name.partition(":")
    if kind == "torchvision" and colon:
        return lambda task: torchvision.build(rest, task)
    if kind and rest:
        return lambda task: _from_user(name, task)
    raise InputError(
        f'unknown model "{name}"{nearest(name, NETWORKS)} '
        f"(known: {', '.join(NETWORKS)}, torchvision:NAME, module:function)"
    )


def _from_user(reference: str, task: Task) -> nn.Module:
    model = call(reference, channels=task.channels, size=task.size, classes=task.classes)
    if not isinstance(model, nn.Module):
        raise InputError(f'"{reference}" must return a torch.nn.Module, but returned a {type(model).__name__}.')
    return model
