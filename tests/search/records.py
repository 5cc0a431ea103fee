"""Records of trials and full trainings, made by hand."""

from fullspectrum.search.protocol.label import Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.store.records import FinalRecord, TrialRecord


class FakeLedger:
    """As much of a ledger as the leaderboard reads."""

    def __init__(self, trials: list[TrialRecord], finals: list[FinalRecord] = ()):
        self._trials, self._finals = trials, list(finals)

    def trials(self) -> list[TrialRecord]:
        return self._trials

    def finals(self) -> list[FinalRecord]:
        return self._finals


def trial(
    number: int,
    score: float,
    iterations: int = 0,
    accuracy: float | None = None,
    outcome: Outcome = Outcome.FINISHED,
    layer_density: float = 0.5,
    cost: int | None = None,
) -> TrialRecord:
    metrics = {"spectral/objective": score, "spectral/layer_density": layer_density}
    if cost is not None:
        metrics["cost/iterations"] = cost
    result = TrialResult(metrics, f"digest {number}", iterations, accuracy)
    return TrialRecord(Proposal(number, 1, 0, MaskDistribution("snip", 1.0, 0, {})), outcome, result)


def final(label: str, accuracy_val: float, accuracy_final: float = 0.5, cost: int | None = None) -> FinalRecord:
    return FinalRecord(Label(label), TrainingEnd(Outcome.FINISHED, None, accuracy_val, accuracy_final), cost=cost)
