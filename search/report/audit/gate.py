"""What the gate was worth, and what each score would have been worth in its place."""

from dataclasses import dataclass

import numpy as np

from ...files import JsonObject
from .columns import Numbers, Words
from .contrast import Contrast, contrast, highest
from .table import MaskTable, comparable

#: Fewest masks of the control group that are a sample by themselves.
FEWEST_CONTROL = 8

#: The part of the masks, by their score, that is called the top, and the part below and above the middle.
_TOP, _OUTER = 0.1, 0.25


@dataclass(frozen=True)
class GateSample:
    """The trained masks by which scores are judged as gates."""

    usable: np.ndarray
    """Which rows of the table, as booleans."""
    fair: bool
    """Whether no score has thinned them out."""
    described: str


@dataclass(frozen=True)
class Worth:
    """What a score would have been worth as the gate of a sample, had it let the better part of it train."""

    gain: float
    """The mean accuracy of the masks that pass less that of all."""
    error: float
    """Half of the 95 % interval of the gain."""
    regret: float
    """The best accuracy of all less the best of those that pass, the mean over groups."""
    chance_regret: float
    """The regret to be expected of as many masks drawn at random."""
    top: Contrast | None
    """The tenth of the masks with the highest scores beside the middle half; None where there are too few."""

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return {
            "gain": self.gain,
            "error": self.error,
            "regret": self.regret,
            "chance_regret": self.chance_regret,
            "top_tenth_over_middle": self.top.to_dict() if self.top else None,
        }


def benefit(table: MaskTable) -> Contrast | None:
    """Compare the masks that passed the gate with its control group, which trained whatever their score.

    Accuracies are those at a point that all of them reached: of the two, early stopping spares the better ones. None
    where there was no gate, and where too few masks trained.
    """
    if table.gates is None:
        return None
    accuracy = reached(table)
    known = ~np.isnan(accuracy)
    accuracy = np.where(known, accuracy, 0.0)
    return contrast(
        accuracy, known & (table.gates == "passed"), known & (table.gates == "control"), table.judged_within
    )


def gate_sample(table: MaskTable) -> GateSample:
    """Return the masks by which scores are judged as gates.

    Where a gate has chosen, the control group is a fair sample of all masks; where it is too small, the masks that
    passed count too, though the gate's own score has thinned them out.
    """
    trained = ~np.isnan(reached(table))
    if table.gates is None or not (table.gates == "stopped").any():
        return GateSample(trained, True, "all trained masks")
    control = trained & (table.gates == "control")
    if control.sum() >= FEWEST_CONTROL:
        return GateSample(control, True, "the control group, a fair sample")
    return GateSample(
        trained,
        False,
        f"the masks that the gate passed, thinned out by it, and the {int(control.sum())} of its control group",
    )


def worth(table: MaskTable, name: str, sample: GateSample) -> Worth | None:
    """Return what the score called `name` would have been worth as the gate; None where there is nothing to choose."""
    score, accuracy, groups = table.scores[name], reached(table), table.judged_within
    usable = comparable(groups, sample.usable & ~np.isnan(score))
    score, accuracy, groups = score[usable], accuracy[usable], groups[usable]
    passing = highest(score, groups, table.quantile)
    found = contrast(accuracy, passing, ~passing, groups)
    if found is None:
        return None
    regrets = np.array([_regrets(accuracy[groups == group], passing[groups == group]) for group in np.unique(groups)])
    regret, chance = regrets.mean(axis=0)
    # All are those that pass and those that do not: the mean of all lies that much nearer.
    dropped = float((~passing).mean())
    return Worth(
        dropped * found.difference,
        dropped * found.error,
        float(regret),
        float(chance),
        _top(accuracy, score, groups),
    )


def reached(table: MaskTable) -> Numbers:
    """Return the accuracies at a point that every trained mask reached."""
    return table.accuracy if table.reached is None else table.reached


def _top(accuracy: Numbers, score: Numbers, groups: Words) -> Contrast | None:
    """Compare the highest tenth by the score with the middle half: over-optimisation makes it train worse."""
    top = highest(score, groups, _TOP)
    middle = ~highest(score, groups, _OUTER) & ~highest(-score, groups, _OUTER)
    return contrast(accuracy, top, middle & ~top, groups)


def _regrets(accuracy: Numbers, passing: np.ndarray) -> tuple[float, float]:
    """Return the regret of those that pass, and what as many drawn at random are to be expected to leave."""
    ordered = np.sort(accuracy)[::-1]
    count, total = int(passing.sum()), len(accuracy)
    expected, none_better = 0.0, 1.0
    # The best of the draw is the i-th of all where it is drawn and none before it is.
    for place, value in enumerate(ordered[: total - count + 1]):
        chosen = count / (total - place)
        expected += none_better * chosen * float(ordered[0] - value)
        none_better *= 1 - chosen
    return float(ordered[0] - accuracy[passing].max()), expected
