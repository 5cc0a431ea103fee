"""The rankings of a study: what its learned score is, trial after trial."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..config.study import Study
from ..names import Metric
from ..protocol.outcome import Outcome
from ..protocol.ranking import OTHERS, Ranking
from ..protocol.result import TrialResult
from ..sampling.distribution import MaskDistribution
from ..scores.fitting import Examples, fit
from ..scores.learned import Learned
from ..scores.registry import LEARNED, all_scores
from ..store.records import TrialRecord

#: Ended warm-ups from which on the learned score is fitted to a study's own masks.
FEWEST = 16

#: Factor by which the ended warm-ups have grown when it is fitted anew: in between, scores of trials are comparable.
GROWTH = 1.5


@dataclass(frozen=True)
class _Mask:
    """The mask of a trial that ended."""

    group: str
    scores: Mapping[str, float]
    value: float
    """Its learned score, by the ranking of its own trial."""
    merit: float | None
    """What ranks it: how far its warm-up came, then its accuracy there; None where it says nothing of the mask."""


class Rankings:
    """The rankings by which a study's learned score goes: that of the package, and from 16 ended warm-ups on its own.

    They hold nothing that the ledger does not: a driver that takes up the trials of another one goes on with the
    ranking of the last trial that was proposed, and fits the next one when the other would have.
    """

    def __init__(self, study: Study) -> None:
        self._names: list[str] = []
        self._latest: Ranking | None = None
        self._prior: Ranking | None = None
        if LEARNED in study.objectives:
            learned = all_scores(study.objectives, study.reference, study.aggregate)[LEARNED]
            assert isinstance(learned, Learned)
            self._names = list(learned.parts)
            self._latest = self._prior = learned.ranking
        self._masks: dict[int, _Mask] = {}

    def take_up(self, record: TrialRecord) -> None:
        """Take up a trial of another driver; in order of number."""
        self._latest = record.proposal.ranking or self._latest
        if record.outcome:
            self.learn(record.number, record.distribution, record.outcome, record.result)

    def learn(self, number: int, distribution: MaskDistribution, outcome: Outcome, result: TrialResult) -> None:
        """Take the scores of a trial's mask, and what its warm-up came to.

        A trial that was stopped at a rung ranks below those that went on, by its accuracy there; one that diverged or
        failed says nothing of its mask.
        """
        if self._latest is None or result.digest is None:
            return
        ended = outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY) and result.accuracy is not None
        scores, value = result.scores, result.metrics.get(Metric.score(LEARNED), math.nan)
        merit = result.iterations + result.accuracy if ended and result.accuracy is not None else None
        self._masks[number] = _Mask(str(distribution.group), scores, value, merit)

    def of(self, distribution: MaskDistribution) -> Ranking | None:
        """Return the ranking for a trial that is proposed now; None where the study has no learned score."""
        if self._latest is None:
            return None
        if self._warmed >= max(FEWEST, GROWTH * self._latest.masks):
            self._latest = self._fitted()
        return self._latest.within(str(distribution.group))

    @property
    def _warmed(self) -> int:
        return sum(mask.merit is not None for mask in self._masks.values())

    def _fitted(self) -> Ranking:
        """Return the ranking that is fitted to all ended warm-ups."""
        masks = [self._masks[number] for number in sorted(self._masks)]
        warmed = [mask for mask in masks if mask.merit is not None]
        scores = {name: np.array([mask.scores.get(name, math.nan) for mask in warmed]) for name in self._names}
        merits, groups = np.array([mask.merit for mask in warmed]), np.array([mask.group for mask in warmed])
        ranking = fit(Examples(scores, merits, groups), self._prior)
        # Gate and sampler compare the scores of trials by different rankings: on average, a group's stay as they were.
        rises: dict[str, list[float]] = {}
        for mask in masks:
            if math.isfinite(rise := mask.value - ranking.value(mask.scores)):
                rises.setdefault(mask.group, []).append(rise)
        rises[OTHERS] = [rise for group in rises.values() for rise in group]
        return replace(ranking, levels={group: float(np.mean(each)) for group, each in rises.items() if each})
