"""How the learning rate goes: the fraction of its peak at each of `total` iterations, the first of which is 0."""

import math
from collections.abc import Sequence

#: Of the one-cycle schedule: where its peak lies, and by how much it starts below the peak and ends below the start.
PEAK, RISE, FALL = 0.3, 25.0, 1e4


def cosine(iteration: int, total: int) -> float:
    """Return half a cosine from 1 down to 0 at the end (Loshchilov & Hutter, ICLR 2017, without restarts)."""
    return (1 + math.cos(math.pi * iteration / total)) / 2


def one_cycle(iteration: int, total: int) -> float:
    """Return one rise to the peak and a longer fall to almost 0, both half a cosine (Smith & Topin, 2019).

    As torch's `OneCycleLR` has it by default, but momentum stays as it is.
    """
    peak, last = PEAK * total - 1, total - 1
    if iteration <= peak:
        return _half_cosine(1 / RISE, 1.0, iteration / peak)
    return _half_cosine(1.0, 1 / (RISE * FALL), (iteration - peak) / (last - peak))


def step(iteration: int, total: int, milestones: Sequence[float], factor: float) -> float:
    """Return `factor` to the power of the `milestones`, fractions of all iterations, that are reached."""
    # Divided and not multiplied: 0.1 * 30 is more than 3.
    return factor ** sum(iteration / total >= milestone for milestone in milestones)


def ramp_up(iteration: int, total: int, fraction: float) -> float:
    """Return the linear rise to 1 over the first `fraction` of all iterations, in (0, 1) (Goyal et al., 2017)."""
    return min(1.0, (iteration + 1) / (fraction * total))


def _half_cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
