"""Records of trials and full trainings, made by hand."""

from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.store.ledger import FinalRecord, TrialRecord


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
) -> TrialRecord:
    result = {"spectral/objective": score, "spectral/layer_density": layer_density, "digest": f"digest {number}"}
    result |= {"training/iterations": iterations} | ({} if accuracy is None else {"accuracy/val": accuracy})
    distribution = MaskDistribution("snip", 1.0, 0, {})
    return TrialRecord(number, 1, 0, distribution, {}, outcome, result, None, {}, None, 0, None)


def final(label: str, accuracy_val: float, accuracy_final: float = 0.5) -> FinalRecord:
    return FinalRecord(label, Outcome.FINISHED, accuracy_val, accuracy_final, {})
