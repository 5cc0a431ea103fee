"""The fully connected LeNet-300-100."""

import torch
from torch import nn
from torch.nn import functional

from ..task import Task


class LeNet(nn.Module):
    """LeNet-300-100 of LeCun et al. (1998): hidden layers of 300 and 100 units on the flattened image.

    266,200 prunable weights for `Task(1, 28, 10)`. With ReLU and initial weights of Glorot and Bengio (AISTATS 2010),
    normal, biases at 0, as in Frankle and Carbin (ICLR 2019).
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.fc1 = nn.Linear(task.channels * task.size**2, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, task.classes)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, (N, classes), of normalised images (N, channels, size, size)."""
        x = functional.relu(self.fc1(images.flatten(1)))
        logits: torch.Tensor = self.fc3(functional.relu(self.fc2(x)))
        return logits
