"""The accuracy that every trained mask has: where early stopping has chosen nothing yet."""

from ..config.study import Study
from ..protocol.outcome import Outcome
from ..store.records import TrialRecord


def reached_at(study: Study) -> int:
    """Return the iterations that every trained mask reached: the first rung, or the end of the warm-up."""
    return next(iter(study.warmup.rungs), study.warmup.iterations)


def reached(study: Study, trial: TrialRecord) -> float | None:
    """Return the validation accuracy of a trial after so many iterations; None where it did not get there."""
    if not study.warmup.rungs:
        return trial.result.accuracy if trial.outcome is Outcome.FINISHED else None
    # The ledger may hold measurements of a trial that trained on before the gate's decision reached it.
    at = reached_at(study)
    measured = trial.measured.get(at) if trial.result.iterations >= at else None
    return measured.accuracy if measured else None
