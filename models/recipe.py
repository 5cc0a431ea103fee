"""How a network is trained."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from .errors import InputError, nearest

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Recipe:
    """Training hyperparameters. Raises `InputError` for an unknown name and a value out of range.

    `learning_rate` > 0; `momentum` in [0, 1), of SGD, and the first beta of AdamW; `weight_decay` >= 0, on all
    parameters; `label_smoothing` in [0, 1); `batch_size` >= 1; `schedule` "cosine" falls to 0 at the last iteration.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    batch_size: int = 128
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        for field, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if (name := getattr(self, field)) not in known:
                raise InputError(f'unknown {field} "{name}"{nearest(name, known)} (known: {", ".join(known)})')
        ranges = {"momentum": "[0, 1)", "label_smoothing": "[0, 1)", "weight_decay": "[0, inf)"}
        for field, interval in ranges.items():
            value = getattr(self, field)
            if not 0 <= value < (1 if interval == "[0, 1)" else math.inf):
                raise InputError(f"{field} must lie in {interval}, but got {value!r}.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate must be positive and finite, but got {self.learning_rate!r}.")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1, but got {self.batch_size!r}.")

    def build_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer over `parameters`."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                parameters, lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay
            )
        return torch.optim.AdamW(
            parameters, lr=self.learning_rate, betas=(self.momentum, 0.999), weight_decay=self.weight_decay
        )

    def learning_rate_at(self, iteration: int, total_iterations: int) -> float:
        """Return the learning rate of the step from `iteration` (from 0) to the next."""
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * iteration / total_iterations)) / 2
