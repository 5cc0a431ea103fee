"""The convolutional network Conv-6."""

import torch
from torch import nn

from ..task import Task

#: Pixels a side: three poolings halve the resolution.
LEAST_SIZE = 8


class Conv6(nn.Module):
    """Conv-6 of Frankle and Carbin (ICLR 2019), figure 2: a small VGG without normalisation.

    Pairs of 3 x 3 convolutions of 64, 128 and 256 channels, each followed by max pooling, then linear layers of 256,
    256 and `classes` outputs; 2,261,184 prunable weights for `Task(3, 32, 10)`. Weights start at the normal
    distribution of Glorot and Bengio (AISTATS 2010), biases at 0. Raises `InputError` for images below `LEAST_SIZE`
    pixels.
    """

    def __init__(self, task: Task) -> None:
        task.require_size(LEAST_SIZE, "conv-6")
        super().__init__()
        self.features = nn.Sequential()
        inputs = task.channels
        for outputs in (64, 128, 256):
            self.features.extend([nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()])
            self.features.extend([nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)])
            inputs = outputs
        self.classifier = nn.Sequential(
            nn.Linear(inputs * (task.size // 8) ** 2, 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, task.classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.get_parameter("bias"))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        logits: torch.Tensor = self.classifier(self.features(images).flatten(1))
        return logits
