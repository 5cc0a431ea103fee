"""The error of accuracies: the interval of one, and of the difference of two side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm, t

#: Of all intervals.
CONFIDENCE = 0.95

_UPPER = (1 + CONFIDENCE) / 2


@dataclass(frozen=True)
class Comparison:
    """The mean test accuracy of ours beside that of theirs."""

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

    The error holds what comes from the choice of test images, and, where there are several trainings of either, what
    comes from the choice of training seeds. The images are the same in all trainings, so that more trainings do not
    make the first part smaller.
    """
    one, other = float(np.mean(ours)), float(np.mean(theirs))
    return Comparison(one, other, math.hypot(_of_images(one, other, images), welch(ours, theirs)))


def compare_pairs(pairs: Sequence[tuple[float, float]], images: int) -> Comparison:
    """Compare test accuracies as `compare` does, of trainings in pairs: ours and theirs share the seed of a study.

    What comes from the choice of seeds is that of the differences (paired t interval).
    """
    ours, theirs = np.array(pairs).T
    of_seeds = mean(list(ours - theirs)).error
    one, other = float(ours.mean()), float(theirs.mean())
    return Comparison(one, other, math.hypot(_of_images(one, other, images), of_seeds))


@dataclass(frozen=True)
class Mean:
    """The mean of so many numbers."""

    value: float
    error: float
    """Half the width of its 95 % interval (Student's t); 0 for a single number, which says nothing."""
    count: int


def mean(numbers: Sequence[float]) -> Mean:
    """Return the mean of one or more numbers."""
    count = len(numbers)
    deviation = float(np.std(numbers, ddof=1)) if count > 1 else 0.0
    error = float(t.ppf(_UPPER, count - 1)) * deviation / math.sqrt(count) if deviation else 0.0
    return Mean(float(np.mean(numbers)), error, count)


def interval(accuracies: Sequence[float], images: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the mean of test accuracies, in [0, 1], on the same `images` images.

    For the choice of images it is Wilson's (JASA 22, 1927) of one proportion, which stays in [0, 1]. Of several
    trainings the spread, by Student's t, is added to it, each end by itself, as independent errors are.
    """
    found = mean(accuracies)
    low, high = _wilson(found.value, images)
    below, above = math.hypot(found.value - low, found.error), math.hypot(high - found.value, found.error)
    return max(found.value - below, 0.0), min(found.value + above, 1.0)


def is_chance(accuracy: float, images: int, classes: int) -> bool:
    """Return whether an accuracy on `images` images is not above 1 / classes, within its binomial error."""
    return _wilson(accuracy, images)[0] <= 1 / classes


def most_by_chance(images: int, classes: int, choices: int) -> float:
    """Return the accuracy that the best of `choices` networks which guess reaches at most, with a chance of 97.5 %.

    Each guesses one of the `classes` for each of the `images`; the bound holds for all of them together (Bonferroni).
    """
    return float(binom.ppf(1 - (1 - _UPPER) / max(choices, 1), images, 1 / classes)) / images


def _wilson(share: float, total: int) -> tuple[float, float]:
    z = float(norm.ppf(_UPPER))
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return min(middle - half, share), max(middle + half, share)


def _of_images(one: float, other: float, images: int) -> float:
    """Return half the interval of two independent proportions with one success and one failure added to each.

    Agresti and Caffo (The American Statistician, 2000). Without these four, the interval of accuracies near 1 is far
    too narrow: with 4 mistakes against none it does not contain zero.
    """
    total = images + 2
    shares = [(share * images + 1) / total for share in (one, other)]
    half = norm.ppf(_UPPER) * math.sqrt(sum(share * (1 - share) for share in shares) / total)
    # Theirs is the interval of the difference of these shares, which is that much smaller than ours.
    return float(half * total / images)


def welch(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return half of Welch's 95 % interval of the difference of two means; 0 for one of each, which says nothing."""
    several = [each for each in (ours, theirs) if len(each) > 1]
    variances = [float(np.var(each, ddof=1)) for each in several]
    if not any(variances):
        return 0.0
    if len(several) == 1:
        # A single training is taken to be as uncertain as each of the others.
        variance = variances[0] * (1 / len(ours) + 1 / len(theirs))
        freedom = float(len(several[0]) - 1)
    else:
        parts = [variance / len(each) for variance, each in zip(variances, several, strict=True)]
        variance = sum(parts)
        freedom = variance**2 / sum(part**2 / (len(each) - 1) for part, each in zip(parts, several, strict=True))
    return float(t.ppf(_UPPER, freedom) * math.sqrt(variance))
