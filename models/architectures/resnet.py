"""The residual networks for CIFAR: ResNet-20, 32 and 56."""

from functools import partial

import torch
from torch import nn
from torch.nn import functional

from ..task import Task

#: Pixels a side: the last stage works at a quarter of the resolution.
LEAST_SIZE = 4


class ResNet(nn.Module):
    """A ResNet of He et al. (CVPR 2016), section 4.2, with projection shortcuts (option B) where the width changes.

    Stages of 16, 32 and 64 channels of n blocks each, n = (`depth` - 2) / 6. For `Task(3, 32, 10)` it has 270,896
    prunable weights at depth 20, 464,432 at 32 and 851,504 at 56. Convolutions start at the normal distribution of
    He et al. (ICCV 2015), fan out. Raises `InputError` for images below `LEAST_SIZE` pixels.
    """

    def __init__(self, task: Task, depth: int) -> None:
        task.require_size(LEAST_SIZE, f"resnet{depth}")
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(task.channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(blocks, 16, 16, stride=1)
        self.layer2 = _stage(blocks, 16, 32, stride=2)
        self.layer3 = _stage(blocks, 32, 64, stride=2)
        self.fc = nn.Linear(64, task.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: torch.Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, which is the identity unless the width or the resolution changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.downsample.append(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(residual + self.downsample(x))


resnet20, resnet32, resnet56 = (partial(ResNet, depth=depth) for depth in (20, 32, 56))


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))
