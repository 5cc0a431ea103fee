"""The cost of a whole search: all the optimizer steps that it ran."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ..config.study import Study
from ..protocol.label import REINITIALISED
from ..protocol.outcome import Outcome
from ..store.records import FinalRecord, TrialRecord
from ..worker.workbench import Workbench


@dataclass(frozen=True)
class SearchCost:
    """The optimizer steps that a study ran, as far as its ledger knows: what a dead worker lost does not count."""

    pretraining: int
    sources: int
    warmups: int
    trainings: int

    @property
    def steps(self) -> int:
        """All of them."""
        return self.pretraining + self.sources + self.warmups + self.trainings

    @classmethod
    def of(cls, bench: Workbench, trials: Sequence[TrialRecord], finals: Sequence[FinalRecord]) -> Self:
        """Return what the study of `bench` ran for its `trials` and full trainings.

        The scores of a source are computed once, however many trials draw masks from them; so is pretraining, on the
        way to the largest number of its steps. The winner on other initial weights is pretrained from those again. Of a
        warm-up count the steps up to the decision that stopped it: how far its worker was ahead is chance.
        """
        scored = [trial.distribution for trial in trials if _was_scored(trial)]
        sources = {(each.pretraining, bench.score_key(each)): bench.source_steps(each) for each in scored}
        return cls(
            _pretrained(bench.study, trials) + pretrained_again(trials, finals),
            sum(sources.values()),
            sum(trial.result.iterations for trial in trials),
            sum(end.end.iteration or 0 for end in finals),
        )

    def sentence(self) -> str:
        """Return a sentence on it."""
        parts = {
            "in pretraining": self.pretraining,
            "in sources": self.sources,
            "in warm-ups": self.warmups,
            "in full trainings": self.trainings,
        }
        each = ", ".join(f"{steps:,} {where}" for where, steps in parts.items() if steps)
        return f"The search itself ran {self.steps:,} steps: {each}."


def pretrained_again(trials: Sequence[TrialRecord], finals: Sequence[FinalRecord]) -> int:
    """Return the steps of pretraining of the winners that were trained on other initial weights."""
    distributions = {trial.label: trial.distribution for trial in trials}
    return sum(distributions[end.of].pretraining for end in finals if end.label == REINITIALISED and end.of)


def _was_scored(trial: TrialRecord) -> bool:
    return trial.result.digest is not None or trial.outcome is Outcome.REJECTED


def _pretrained(study: Study, trials: Sequence[TrialRecord]) -> int:
    """Return the steps of pretraining, which precedes every trial."""
    return max(study.pretraining.each) if trials else 0
