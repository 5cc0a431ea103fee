"""Two accuracies side by side: whether one is higher than chance allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """The mean test accuracy of ours beside theirs."""

    ours: float
    theirs: float
    error: float
    """Half the width of the 95 % interval of the difference."""

    @property
    def difference(self) -> float:
        """Ours less theirs."""
        return self.ours - self.theirs

    @property
    def verb(self) -> str:
        """What ours does: "beats", "loses to" or "is level with" theirs."""
        if abs(self.difference) <= self.error:
            return "is level with"
        return "beats" if self.difference > 0 else "loses to"


def compare(ours: Sequence[float], theirs: Sequence[float], images: int) -> Comparison:
    """Compare test accuracies, in [0, 1], of one or more trainings each on the same `images` test images.

    The error holds what comes from the choice of test images, as of two independent proportions, and, where there are
    two trainings of either, what comes from the choice of training seeds (Welch's interval with the pooled degrees of
    freedom). The images are the same in all trainings, so that more trainings do not make the first part smaller.
    """
    one, other = float(np.mean(ours)), float(np.mean(theirs))
    upper = (1 + CONFIDENCE) / 2
    variance = norm.ppf(upper) ** 2 * (one * (1 - one) + other * (1 - other)) / images
    if len(ours) > 1 and len(theirs) > 1:
        spread = np.var(ours, ddof=1) / len(ours) + np.var(theirs, ddof=1) / len(theirs)
        variance += t.ppf(upper, len(ours) + len(theirs) - 2) ** 2 * spread
    return Comparison(one, other, math.sqrt(variance))
