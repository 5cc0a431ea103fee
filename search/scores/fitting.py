"""The fit of a ranking: ridge regression of the ranks of accuracy on scores, within groups of masks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.stats import rankdata

from ..protocol.ranking import Ranking, Term

#: The masks that a prior counts for: a fit to as many trusts both alike. In public data a fit to 12 masks ranks others
#: of the same sources best with a prior of 1 to 4, those of other sources with one of 64 (`tests.benchmarks.replay`).
PRIOR_MASKS = 16

#: A score varies where its standard deviation is above this fraction of its largest value.
ROUNDING = 1e-12

#: The variance of a rank that is uniform on an interval of length 1.
_RANK_VARIANCE = 1 / 12


@dataclass(frozen=True)
class Examples:
    """Masks with their scores, and with what came of them."""

    scores: Mapping[str, np.ndarray]
    """Scores by name, float64 of shape (masks,); nan where undefined."""
    merits: np.ndarray
    """What ranks the masks, as accuracy does; higher is better. Shape (masks,)."""
    groups: np.ndarray
    """The group of each mask, within which masks are compared. Shape (masks,)."""

    def without(self, row: int) -> Self:
        """Return all examples but one."""
        scores = {name: np.delete(values, row) for name, values in self.scores.items()}
        return replace(self, scores=scores, merits=np.delete(self.merits, row), groups=np.delete(self.groups, row))


def fit(examples: Examples, prior: Ranking | None = None, prior_masks: float = PRIOR_MASKS) -> Ranking:
    """Return the ranking of `examples`: ridge regression that shrinks towards `prior`, without one towards 0.

    In each group the accuracies are replaced by their ranks, and the scores by their distance from the group's mean in
    standard deviations, pooled over the groups; a score that is undefined counts as the mean. Scores are not ranked, so
    that the value of a mask is a function of that mask alone; on public data their ranks raise ρ by 0.05 at most
    (`tests.benchmarks.replay`). The prior counts as `prior_masks` masks. A score that does not vary within groups has
    no term; where none varies, the prior is returned as it is.
    """
    deviations = {name: _deviations(values, examples.groups) for name, values in examples.scores.items()}
    freedom = len(examples.merits) - len(np.unique(examples.groups))
    scales = {name: float(np.sqrt((each**2).sum() / max(1, freedom))) for name, each in deviations.items()}
    largest = {name: np.abs(np.nan_to_num(values)).max(initial=0.0) for name, values in examples.scores.items()}
    names = [name for name, scale in scales.items() if scale > ROUNDING * largest[name]]
    if not names:
        return prior or Ranking({})
    design = np.column_stack([deviations[name] / scales[name] for name in names])
    known = prior.terms if prior else {}
    expected = np.array([known[name].weight if name in known else 0.0 for name in names])
    target = _ranks(examples.merits, examples.groups)
    ridge = design.T @ design + prior_masks * np.eye(len(names))
    weights = expected + np.linalg.solve(ridge, design.T @ (target - design @ expected))
    centres = [float(np.nanmean(examples.scores[name])) for name in names]
    terms = [Term(*values) for values in zip(weights.tolist(), (scales[name] for name in names), centres, strict=True)]
    return Ranking(dict(zip(names, terms, strict=True)), len(examples.merits))


def leave_one_out(examples: Examples, prior: Ranking | None = None) -> np.ndarray:
    """Return the value of each mask in the ranking that is fitted to all others, shape (masks,); nan where undefined.

    All values are centred alike, so that they can be compared within a group.
    """
    whole = fit(examples, prior)
    values = []
    for row in range(len(examples.merits)):
        left = fit(examples.without(row), prior)
        # The centre of those left lies the farther from a mask's score the more that lies out, on the other side.
        terms = {name: replace(term, centre=whole.terms[name].centre) for name, term in left.terms.items()}
        values.append(Ranking(terms).value({name: float(each[row]) for name, each in examples.scores.items()}))
    return np.array(values, dtype=float)


def _deviations(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the distance of each value from the mean of its group; 0 where it is undefined."""
    found = np.zeros(len(values))
    for group in np.unique(groups):
        members = (groups == group) & np.isfinite(values)
        if members.any():
            found[members] = values[members] - values[members].mean()
    return found


def _ranks(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the rank of each value in its group, centred, with the variance of 1 that ranks of many have."""
    found = np.zeros(len(values))
    for group in np.unique(groups):
        members = groups == group
        found[members] = (rankdata(values[members]) - 0.5) / members.sum() - 0.5
    return np.asarray(found / np.sqrt(_RANK_VARIANCE))
