"""The tables of the stages that a trial goes through: gate, guard, warm-up, and full training."""

import math
from typing import Annotated, Literal

from pydantic import Field

from .searchable import Section

#: A number in [0, 1].
Fraction = Annotated[float, Field(ge=0, le=1)]


class Gate(Section):
    """The choice of the trials that train, by their spectral score."""

    quantile: float = Field(0.5, gt=0, le=1, description="fraction of trials that passes; 1.0 switches the gate off")
    control: Fraction = Field(0.1, description="fraction of trials that trains whatever its score: the control group")
    within: Literal["group", "study"] = Field(
        "group",
        description="trials that a score is compared with: those of its source, pretraining and allocation, or all",
    )


class Guard(Section):
    """The limits on masks that may train, beyond a kept weight in every layer and an input-output path."""

    max_dead_channels: Fraction = Field(
        1.0, description="greatest fraction of all inputs and outputs of layers that lie on no path; 1.0: no limit"
    )
    min_shortcut_coverage: Fraction = Field(
        0.0, description="least fraction of each projection shortcut's output channels that it passes on; 0.0: no limit"
    )
    repair: bool = Field(
        False, description="whether rejected masks are repaired at their budget: useless weights go for missing ones"
    )


class Warmup(Section):
    """The short training of the trials that pass the gate."""

    iterations: int = Field(500, ge=0, description="iterations (optimizer steps); 0 makes a spectral-only study")
    report_every: int = Field(50, ge=1, description="iterations between two measurements of validation accuracy")
    early_stopping: bool = Field(True, description="whether ASHA stops the slower trials at its rungs")
    metric: Literal["accuracy", "training_loss"] = Field(
        "accuracy",
        description="what the rungs compare: accuracy on the validation split, or the sum of training losses so far",
    )
    grace_period: Annotated[int, Field(ge=1)] | None = Field(
        None, description="iterations before the first rung; none: half of the warm-up"
    )
    reduction_factor: float = Field(3.0, gt=1, description="one in this many trials goes on past a rung")

    @property
    def rungs(self) -> list[int]:
        """The iterations at which trials are compared: grace_period, then each reduction_factor times as many."""
        found, rung = [], float(self.grace_period or math.ceil(self.iterations / 2) or 1)
        while self.early_stopping and math.ceil(rung) < self.iterations:
            found.append(math.ceil(rung))
            rung *= self.reduction_factor
        return found

    @property
    def reports(self) -> list[int]:
        """The iterations at which a trial reports: every `report_every`, at each rung, and at the end."""
        every = range(self.report_every, self.iterations, self.report_every)
        return sorted({*every, *self.rungs, self.iterations})


class Final(Section):
    """Full training of the best masks."""

    top_k: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        3, description='masks trained in full, best warm-up accuracy first; "all": every one that passed the gate'
    )
    epochs: int = Field(160, ge=1, description="epochs (passes over the training split)")
    checks: bool = Field(
        True, description="whether the winner is also trained shuffled, on other initial weights, with inverted scores"
    )
