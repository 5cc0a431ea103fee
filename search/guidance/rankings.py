"""The rankings of a study: what its learned score is, trial after trial."""

import math
from dataclasses import dataclass

import numpy as np

from ..config.study import Study
from ..names import Metric
from ..protocol.outcome import Outcome
from ..protocol.ranking import Ranking
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
class _Warmed:
    """A mask whose warm-up ended."""

    group: str
    scores: dict[str, float]
    merit: float
    """What ranks it: how far it came, then its accuracy there."""


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
        self._warmed: dict[int, _Warmed] = {}

    def take_up(self, record: TrialRecord) -> None:
        """Take up a trial of another driver; in order of number."""
        if self._latest is None:
            return
        self._latest = record.proposal.ranking or self._latest
        if record.outcome:
            self.learn(record.number, record.distribution, record.outcome, record.result)

    def learn(self, number: int, distribution: MaskDistribution, outcome: Outcome, result: TrialResult) -> None:
        """Take what the warm-up of a trial came to; one that diverged or failed says nothing of its mask.

        A trial that was stopped at a rung ranks below those that went on, by its accuracy there.
        """
        if outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY) and result.accuracy is not None:
            scores = {name: result.metrics.get(Metric.score(name), math.nan) for name in self._names}
            self._warmed[number] = _Warmed(_group(distribution), scores, result.iterations + result.accuracy)

    def current(self) -> Ranking | None:
        """Return the ranking for a trial that is proposed now; None where the study has no learned score."""
        if self._latest is None:
            return None
        if len(self._warmed) >= max(FEWEST, GROWTH * self._latest.masks):
            self._latest = fit(self._examples(), self._prior)
        return self._latest

    def _examples(self) -> Examples:
        masks = [self._warmed[number] for number in sorted(self._warmed)]
        scores = {name: np.array([mask.scores[name] for mask in masks]) for name in self._names}
        return Examples(scores, np.array([mask.merit for mask in masks]), np.array([mask.group for mask in masks]))


def _group(distribution: MaskDistribution) -> str:
    """Return the group of a trial, within which scores are comparable."""
    return f"{distribution.source} {distribution.allocation}"
