"""Rank correlations of several scores with accuracy, raw and given each control, with bootstrap intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .columns import Numbers, Words
from .interval import Estimate, estimates
from .ranks import RankedColumn, correlation, partial


@dataclass(frozen=True)
class Correlations:
    """Spearman's correlations of one score with accuracy, all on the same masks."""

    raw: Estimate
    given: Mapping[str, Estimate] = field(default_factory=dict)
    """The partial correlation given each control, by its name."""
    leads: Mapping[str, Estimate] = field(default_factory=dict)
    """The raw correlation less that of each control, by its name."""


def correlate(
    accuracy: Numbers, scores: Mapping[str, Numbers], controls: Mapping[str, Numbers], groups: Words
) -> dict[str, Correlations]:
    """Return how each score ranks `accuracy` within `groups`, by its name; a control is not given to itself.

    All columns have the shape (masks,) and hold no nan, and each group has two masks or more. All scores share the
    resamples, and the ranks in them of accuracy and controls.
    """
    ranked = {name: RankedColumn(values, groups) for name, values in controls.items()}
    accuracies = RankedColumn(accuracy, groups)
    columns = {name: RankedColumn(values, groups) for name, values in scores.items()}

    def statistic(rows: np.ndarray) -> np.ndarray:
        """Return for each score the raw correlation, that given each control, and the leads, in this order."""
        target = accuracies.of(rows)
        others = {name: column.of(rows) for name, column in ranked.items()}
        of_others = {name: correlation(target, other) for name, other in others.items()}
        found = []
        for name, column in columns.items():
            score = column.of(rows)
            raw = correlation(target, score)
            beside = [other for other in others if other != name]
            given = [partial(raw, of_others[other], correlation(score, others[other])) for other in beside]
            found += [raw, *given, *(raw - of_others[other] for other in beside)]
        return np.array(found)

    left = iter(estimates(statistic, groups))
    found = {}
    for name in scores:
        beside = [control for control in controls if control != name]
        raw = next(left)
        given = {control: next(left) for control in beside}
        found[name] = Correlations(raw, given, {control: next(left) for control in beside})
    return found
