"""What so many trainings can show of a rank correlation."""

import math
from dataclasses import dataclass

from scipy.stats import norm

from ...files import JsonObject
from ..comparison import CONFIDENCE

#: Variance of Fisher's z of Spearman's correlation, times n − 3 (Fieller, Hartley and Pearson, Biometrika 44, 1957).
_VARIANCE = 1.06

#: The chance with which a correlation is to be found.
POWER = 0.8


@dataclass(frozen=True)
class Power:
    """The smallest Spearman correlations that can be told from 0, by their absolute value."""

    trainings: int
    told: float
    """The smallest measured one whose 95 % interval leaves 0 out."""
    found: float
    """The smallest true one that is told from 0 four times in five."""

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return {"trainings": self.trainings, "told_from_0": self.told, "found_4_in_5": self.found}


def power(trainings: int, groups: int = 1, choices: int = 1) -> Power:
    """Return what `trainings` masks, ranked within `groups` groups, can show of a correlation.

    Fisher's z of Spearman's correlation is normal about that of the true one, with variance 1.06/(n − 3) (Fieller,
    Hartley and Pearson, Biometrika 44, 1957); each group beyond the first takes a mask from n, for its own mean. With
    `choices` the correlation is the strongest of so many scores, and 95 % are to hold for all (Bonferroni). Both are 1
    where n is 3 or less: nothing can be told.
    """
    left = trainings - (groups - 1) - 3
    if left < 1:
        return Power(trainings, 1.0, 1.0)
    deviation = math.sqrt(_VARIANCE / left)
    beyond = float(norm.ppf(1 - (1 - CONFIDENCE) / 2 / choices))
    return Power(trainings, math.tanh(beyond * deviation), math.tanh((beyond + float(norm.ppf(POWER))) * deviation))
