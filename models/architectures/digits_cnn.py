"""A small convolutional network for 8 x 8 digits."""

import torch
from torch import nn
from torch.nn import functional

from ..task import Task

#: Pixels a side: with fewer, the 4 x 4 pooling would have less than one activation for each of its cells.
LEAST_SIZE = 7


class DigitsCNN(nn.Module):
    """Three 3 x 3 convolutions of 32, 64 (stride 2) and 128 channels, pooled to 4 x 4, and two linear layers.

    504,048 prunable weights for `Task(1, 8, 10)`. Raises `InputError` for images below `LEAST_SIZE` pixels.
    """

    def __init__(self, task: Task) -> None:
        task.require_size(LEAST_SIZE, "digits_cnn")
        super().__init__()
        self.conv1 = nn.Conv2d(task.channels, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(128)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.fc1 = nn.Linear(128 * 4 * 4, 200)
        self.fc2 = nn.Linear(200, task.classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.relu(self.bn2(self.conv2(x)))
        x = functional.relu(self.bn3(self.conv3(x)))
        x = functional.relu(self.fc1(self.pool(x).flatten(1)))
        logits: torch.Tensor = self.fc2(x)
        return logits
