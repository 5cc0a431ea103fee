"""Networks by name."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from .architectures import conv6, digits_cnn, lenet, resnet, torchvision, vgg, wide_resnet
from .errors import InputError, nearest
from .seeds import derive
from .task import Task
from .userfunction import call
from .weights import check_state

__all__ = [
    "DEFAULT_TASKS",
    "NETWORKS",
    "Task",
    "adaptations",
    "build",
    "check_name",
    "default_task",
    "initial_state",
]

NETWORKS: dict[str, Callable[[Task], nn.Module]] = {
    "digits_cnn": digits_cnn.DigitsCNN,
    "lenet-300-100": lenet.LeNet,
    "conv-6": conv6.Conv6,
    "resnet20": partial(resnet.ResNet, depth=20),
    "resnet32": partial(resnet.ResNet, depth=32),
    "resnet56": partial(resnet.ResNet, depth=56),
    "vgg16-bn": partial(vgg.VGG, depth=16),
    "vgg19-bn": partial(vgg.VGG, depth=19),
}

_CIFAR10 = Task(channels=3, size=32, classes=10)
_IMAGENET = Task(channels=3, size=224, classes=1000)

DEFAULT_TASKS: dict[str, Task] = dict.fromkeys(NETWORKS, _CIFAR10) | {
    "digits_cnn": Task(channels=1, size=8, classes=10),
    "lenet-300-100": Task(channels=1, size=28, classes=10),
}


def build(name: str, task: Task, seed: int) -> nn.Module:
    """Build the network `name` for `task` on the CPU, its initial weights a function of `seed` alone.

    `name` is one of `NETWORKS`, `wrn-28-K`, `torchvision:NAME`, or `module:function`, which is called with the
    keywords channels, size and classes and returns an `nn.Module`. The global generators are left as they were.
    Raises `InputError` for an unknown name, a task that the network cannot take, and a user's function that fails.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which seeds every GPU's generator too.
        torch.default_generator.manual_seed(derive(seed, "initial weights"))
        return _constructor(name)(task)


def initial_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of the state dict, parameters and buffers, on the CPU. Raises `InputError` for other entries."""
    return {name: tensor.detach().cpu().clone() for name, tensor in check_state(model.state_dict()).items()}


def default_task(name: str) -> Task | None:
    """Return the task that the network `name` is usually built for; None for a user's, and for an unknown name."""
    if name.startswith(torchvision.PREFIX):
        return _IMAGENET
    return _CIFAR10 if name.startswith(wide_resnet.PREFIX) else DEFAULT_TASKS.get(name)


def check_name(name: str) -> None:
    """Raise `InputError` for a name that is no network, with the way out; a user's function is not looked for."""
    _constructor(name)


def adaptations(model: nn.Module) -> tuple[str, ...]:
    """Return what `build` changed against the published network to fit the task, in short sentences, often none."""
    return getattr(model, torchvision.ADAPTATIONS, ())


def _constructor(name: str) -> Callable[[Task], nn.Module]:
    if name in NETWORKS:
        return NETWORKS[name]
    if name.startswith(wide_resnet.PREFIX):
        return partial(wide_resnet.WideResNet, widening=wide_resnet.widening(name))
    if name.startswith(torchvision.PREFIX):
        return partial(torchvision.build, name.removeprefix(torchvision.PREFIX))
    kind, _, rest = name.partition(":")
    if kind and rest:
        return partial(_from_user, name)
    known = [*NETWORKS, f"{wide_resnet.PREFIX}K"]
    full = torchvision.PREFIX + name
    hint = nearest(full, [full]) if name in torchvision.names() else nearest(name, known)
    raise InputError(
        f'unknown model "{name}"{hint} (known: {", ".join(known)}, {torchvision.PREFIX}NAME, module:function)'
    )


def _from_user(reference: str, task: Task) -> nn.Module:
    model = call(reference, channels=task.channels, size=task.size, classes=task.classes)
    if not isinstance(model, nn.Module):
        raise InputError(f'"{reference}" must return a torch.nn.Module, but returned a {type(model).__name__}.')
    return model
