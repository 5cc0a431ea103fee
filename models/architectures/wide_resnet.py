"""The wide residual networks for CIFAR: WRN-28-K."""

import torch
from torch import nn
from torch.nn import functional

from ..task import Task
from .registry import WIDE

#: Pixels a side: the last stage works at a quarter of the resolution.
LEAST_SIZE = 4

#: Depth 28 = 6 * blocks + 4.
_BLOCKS = 4


class WideResNet(nn.Module):
    """WRN-28-`widening` of Zagoruyko and Komodakis (BMVC 2016): pre-activation, B(3, 3) blocks, no dropout.

    Stages of 16, 32 and 64 times `widening` channels, four blocks each; 36,479,194 parameters for `widening` 10 and
    `Task(3, 32, 10)`. Starts as the authors' code: convolutions at the normal distribution of He et al. (ICCV 2015),
    fan out, the linear layer uniform with bias 0. Raises `InputError` for images below `LEAST_SIZE` pixels.
    """

    def __init__(self, task: Task, widening: int) -> None:
        task.require_size(LEAST_SIZE, f"{WIDE}{widening}")
        super().__init__()
        widths = [width * widening for width in (16, 32, 64)]
        self.conv1 = nn.Conv2d(task.channels, 16, 3, padding=1, bias=False)
        self.layer1 = _stage(16, widths[0], stride=1)
        self.layer2 = _stage(widths[0], widths[1], stride=2)
        self.layer3 = _stage(widths[1], widths[2], stride=2)
        self.bn = nn.BatchNorm2d(widths[2])
        self.fc = nn.Linear(widths[2], task.classes)
        nn.init.zeros_(self.fc.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        logits: torch.Tensor = self.fc(functional.relu(self.bn(x)).mean(dim=(2, 3)))
        return logits


def wide_resnet(widening: str, task: Task) -> WideResNet:
    """Build the network called `wrn-28-K`, with K as text."""
    return WideResNet(task, int(widening))


class PreActivationBlock(nn.Module):
    """Two 3 x 3 convolutions, each after normalisation and activation, and a shortcut.

    The shortcut is the identity where the width stays; else a 1 x 1 convolution that shares the first activation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        activated = functional.relu(self.bn1(x))
        residual: torch.Tensor = self.conv2(functional.relu(self.bn2(self.conv1(activated))))
        return residual + (x if self.shortcut is None else self.shortcut(activated))


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    first = PreActivationBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(PreActivationBlock(outputs, outputs, 1) for _ in range(_BLOCKS - 1)))
