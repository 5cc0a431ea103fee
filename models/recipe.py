"""How a network is trained."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from . import schedule
from .errors import InputError, nearest

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant", "one-cycle", "step")


@dataclass(frozen=True)
class Recipe:
    """Training hyperparameters. Raises `InputError` for an unknown name and a value out of range.

    `learning_rate` > 0, the peak; `momentum` in [0, 1), of SGD, and the first beta of AdamW; `nesterov` momentum, of
    SGD; `weight_decay` >= 0, on all parameters; `label_smoothing` in [0, 1); `batch_size` >= 1.

    `schedule`: "cosine" falls to 0 at the last iteration, "constant" stays, "one-cycle" rises over 30 % of the
    iterations and falls over the others, "step" multiplies by `step_factor`, in (0, 1), at each of the `milestones`,
    fractions of all iterations in (0, 1). `ramp_up`, in [0, 1), is the fraction of all iterations over which the rate
    first rises linearly, times the schedule (the warm-up of other trainers).

    `gradient_clip` >= 0 is the largest norm of the gradient of all trained weights together, 0 for none; `ema`, in
    [0, 1), the decay of the moving average of the weights that accuracy is measured on, 0 for none; `compile` has the
    network compiled by torch.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    batch_size: int = 128
    schedule: str = "cosine"
    milestones: tuple[float, ...] = (0.5, 0.75)
    step_factor: float = 0.1
    ramp_up: float = 0.0
    gradient_clip: float = 0.0
    ema: float = 0.0
    compile: bool = False

    def __post_init__(self) -> None:
        for field, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if (name := getattr(self, field)) not in known:
                raise InputError(f'unknown {field} "{name}"{nearest(name, known)} (known: {", ".join(known)})')
        ranges = {"momentum": 1, "label_smoothing": 1, "ramp_up": 1, "ema": 1}
        for field, end in (ranges | {"weight_decay": math.inf, "gradient_clip": math.inf}).items():
            if not 0 <= (value := getattr(self, field)) < end:
                raise InputError(f"{field} must lie in [0, {end}), but got {value!r}.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate must be positive and finite, but got {self.learning_rate!r}.")
        if not 0 < self.step_factor < 1:
            raise InputError(f"step_factor must lie in (0, 1), but got {self.step_factor!r}.")
        if not all(0 < milestone < 1 for milestone in self.milestones):
            raise InputError(f"milestones must be fractions in (0, 1), but got {self.milestones!r}.")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1, but got {self.batch_size!r}.")
        object.__setattr__(self, "milestones", tuple(self.milestones))

    def build_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer over `parameters`."""
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                parameters,
                lr=self.learning_rate,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                # Without momentum they are the same, and torch refuses it.
                nesterov=self.nesterov and self.momentum > 0,
            )
        return torch.optim.AdamW(
            parameters, lr=self.learning_rate, betas=(self.momentum, 0.999), weight_decay=self.weight_decay
        )

    def learning_rate_at(self, iteration: int, total_iterations: int) -> float:
        """Return the learning rate of the step from `iteration` (from 0) to the next."""
        rate = self.learning_rate
        match self.schedule:
            case "cosine":
                rate *= schedule.cosine(iteration, total_iterations)
            case "one-cycle":
                rate *= schedule.one_cycle(iteration, total_iterations)
            case "step":
                rate *= schedule.step(iteration, total_iterations, self.milestones, self.step_factor)
        if self.ramp_up:
            rate *= schedule.ramp_up(iteration, total_iterations, self.ramp_up)
        return rate
