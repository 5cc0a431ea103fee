"""The registry of networks; a new one is a file of its own and a line here. Nothing of a network is imported here."""

import re

from ..errors import InputError
from ..registry import Prefix, Registry
from ..task import Task
from . import torchvisionnames

#: Names of wide residual networks begin so, and go on with the widening factor.
WIDE = "wrn-28-"

#: Names of torchvision's networks begin so.
TORCHVISION = "torchvision:"


def check_widening(text: str) -> None:
    """Raise `InputError` where `text`, K of the name `wrn-28-K`, is no whole number from 1 to 999."""
    if re.fullmatch("[1-9][0-9]{0,2}", text) is None:
        raise InputError(
            f'unknown model "{WIDE}{text}": after {WIDE} stands the widening factor, a whole number from 1 to 999, '
            f"as in {WIDE}10"
        )


#: Each is called with a `Task`; a user's function with the keywords channels, size and classes.
NETWORKS = Registry(
    "model",
    __package__,
    {
        "digits_cnn": ".digits_cnn:DigitsCNN",
        "lenet-300-100": ".lenet:LeNet",
        "conv-6": ".conv6:Conv6",
        "resnet20": ".resnet:resnet20",
        "resnet32": ".resnet:resnet32",
        "resnet56": ".resnet:resnet56",
        "vgg16-bn": ".vgg:vgg16_bn",
        "vgg19-bn": ".vgg:vgg19_bn",
    },
    {
        WIDE: Prefix(".wide_resnet:wide_resnet", "K", check_widening),
        TORCHVISION: Prefix(".torchvision:build", "NAME", torchvisionnames.check),
    },
    hints={name: TORCHVISION + name for name in torchvisionnames.NAMES},
)

_CIFAR10 = Task(channels=3, size=32, classes=10)
_IMAGENET = Task(channels=3, size=224, classes=1000)

#: The task that each network is usually built for.
DEFAULT_TASKS: dict[str, Task] = dict.fromkeys(NETWORKS, _CIFAR10) | {
    "digits_cnn": Task(channels=1, size=8, classes=10),
    "lenet-300-100": Task(channels=1, size=28, classes=10),
}


def default_task(name: str) -> Task | None:
    """Return the task that the network `name` is usually built for; None for a user's, and for an unknown name."""
    if name.startswith(TORCHVISION):
        return _IMAGENET
    return _CIFAR10 if name.startswith(WIDE) else DEFAULT_TASKS.get(name)
