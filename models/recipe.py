"""How a network is trained."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import schedule
from .maskrules.registry import RULES
from .setting import check_settings, setting

if TYPE_CHECKING:
    import torch

    from .maskrules.rule import MaskRule

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "constant", "one-cycle", "step")


@dataclass(frozen=True)
class Recipe:
    """Training hyperparameters. Raises `InputError` for an unknown name and a value out of range.

    `weight_decay` is that of all parameters. `schedule`: "cosine" falls to 0 at the last iteration, "constant" stays,
    "one-cycle" rises over 30 % of the iterations and falls over the others, "step" multiplies by `step_factor` at each
    of the `milestones`. `ramp_up` (the warm-up of other trainers) multiplies any of them. `mask` is the rule by which
    the mask changes; the other three of its settings have the defaults of Evci et al. (ICML 2020).
    """

    optimizer: str = setting("sgd", "sgd (with momentum) or adamw", choices=OPTIMIZERS)
    learning_rate: float = setting(0.1, "peak learning rate, > 0", gt=0)
    momentum: float = setting(0.9, "momentum of sgd, first beta of adamw, in [0, 1)", ge=0, lt=1)
    nesterov: bool = setting(False, "whether sgd's momentum is Nesterov's")
    weight_decay: float = setting(5e-4, "weight decay, >= 0", ge=0)
    label_smoothing: float = setting(0.0, "in [0, 1)", ge=0, lt=1)
    batch_size: int = setting(128, "images a batch", ge=1)
    schedule: str = setting(
        "cosine", "how the learning rate goes: cosine, constant, one-cycle or step", choices=SCHEDULES
    )
    milestones: tuple[float, ...] = setting(
        (0.5, 0.75),
        "of schedule step: where the rate drops, fractions of all iterations in (0, 1)",
        gt=0,
        lt=1,
        searched=False,
    )
    step_factor: float = setting(
        0.1, "of schedule step: what the rate is multiplied by at each milestone, in (0, 1)", gt=0, lt=1
    )
    ramp_up: float = setting(
        0.0, "fraction of all iterations over which the learning rate first rises linearly, in [0, 1)", ge=0, lt=1
    )
    gradient_clip: float = setting(
        0.0, "largest norm of the gradient of all trained weights together, >= 0; 0 for none", ge=0
    )
    ema: float = setting(
        0.0, "decay a step of the moving average of weights that accuracy is measured on; 0 for none", ge=0, lt=1
    )
    compile: bool = setting(False, "whether torch compiles the network", searched=False)
    mask: str = setting("fixed", f"how the mask changes while training: {', '.join(RULES.known)}", registry=RULES)
    mask_every: int = setting(
        100, "of a mask that changes: iterations between two changes; of lr-rewinding, of a round", ge=1
    )
    mask_fraction: float = setting(
        0.3, "of set and rigl: fraction of kept weights that the first change moves, in (0, 1)", gt=0, lt=1
    )
    mask_until: float = setting(
        0.75, "of a mask that changes: fraction of all iterations after which it stays, in (0, 1]", gt=0, le=1
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        check_settings(self)

    def build_optimizer(self, parameters: "Iterable[torch.nn.Parameter]") -> "torch.optim.Optimizer":
        """Return the optimizer over `parameters`."""
        # Here, because settings are checked before anything waits for torch.
        from torch.optim import SGD, AdamW

        if self.optimizer == "adamw":
            betas = (self.momentum, 0.999)
            return AdamW(parameters, lr=self.learning_rate, betas=betas, weight_decay=self.weight_decay)
        return SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            # Without momentum they are the same, and torch refuses it.
            nesterov=self.nesterov and self.momentum > 0,
        )

    def build_mask_rule(self) -> "MaskRule":
        """Return the rule by which the mask changes. Raises `InputError` for a user's that is none."""
        from .maskrules.rule import MaskRule
        from .maskrules.schedule import Schedule

        return RULES.make(self.mask, MaskRule, Schedule(self.mask_every, self.mask_fraction, self.mask_until))

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
