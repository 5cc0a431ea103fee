"""A study as its driver holds it, without Ray."""

from collections.abc import Callable, Sequence

from fullspectrum.search.config.study import Study
from fullspectrum.search.guidance.groups import Groups
from fullspectrum.search.guidance.proposer import Proposer
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.writer import take_over
from optuna.storages import BaseStorage, InMemoryStorage

NAMES = ("conv1.weight", "conv2.weight", "fc.weight")


class OpenStudy:
    """The ledger of a study, taken over, and its proposer: what a dispatcher does with both, in one call."""

    def __init__(
        self,
        study: Study,
        storage: BaseStorage | None = None,
        names: Sequence[str] = NAMES,
        check: Callable[[], None] = lambda: None,
        groups: Groups | None = None,
    ):
        self.study = study
        self.ledger = take_over(Ledger(study, storage or InMemoryStorage()), check)
        self.proposer = Proposer(study, self.ledger, names, groups)
        self.propose = self.proposer.propose

    def __getattr__(self, name: str):
        return getattr(self.ledger, name)

    def all_proposals(self) -> list[Proposal]:
        """Every trial that is still to be proposed."""
        return list(iter(self.propose, None))

    def finish(self, number: int, attempt: int, outcome: Outcome, result: TrialResult) -> bool:
        """Ends a trial, and teaches the samplers."""
        taken = self.ledger.finish(number, attempt, outcome, result)
        if taken:
            self.proposer.learn(number, outcome, result)
        return taken

    def lost(self, number: int, attempt: int, reached: int) -> bool:
        """A worker died: returns whether its trial is proposed again."""
        again = self.ledger.lost(number, attempt, reached) <= self.study.faults.retries
        if again:
            self.proposer.retry(number)
        return again
