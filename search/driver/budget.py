"""The failure budget: when so many trials failed that a search stops."""

from collections import Counter

from ..config.study import Faults
from ..protocol.outcome import Outcome

#: Fewest ended trials of which a fraction is taken.
FEWEST_ENDED = 10


class FailureBudget:
    """The outcomes of trials, and whether too many of them failed."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._failed = 0
        self._reasons: Counter[str] = Counter()
        self.ended = 0

    def spent(self, outcome: Outcome, reason: str | None) -> str | None:
        """Count an outcome; return why the search is to stop, where too many trials failed."""
        self.ended += 1
        if outcome is not Outcome.FAILED:
            return None
        self._failed += 1
        self._reasons[reason or ""] += 1
        limit = self._faults.max_failures
        too_many = limit is not None and self._failed >= limit
        too_large = self.ended >= FEWEST_ENDED and self._failed > self._faults.failure_fraction * self.ended
        if not (too_many or too_large):
            return None
        commonest = self._reasons.most_common(1)[0][0]
        return f"{self._failed} of {self.ended} trials failed; the commonest reason: {commonest}"
