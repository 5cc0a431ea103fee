"""A trial whose end has not been decided, as the dispatcher holds it."""

from dataclasses import dataclass, field

from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Stage
from ..protocol.report import Ended, Measured, Scored
from ..protocol.result import TrialResult
from ..store.records import TrialRecord


@dataclass(frozen=True)
class Worker:
    """The process that runs a trial, and its machine."""

    host: str
    pid: int


@dataclass
class OpenTrial:
    """A trial whose end has not been decided."""

    proposal: Proposal
    running: bool = False
    stage: Stage = Stage.WHOLE
    """The part that was handed out last."""
    waits: Stage | None = None
    """The part that it waits to be handed out for; None where it runs, or has to be proposed again."""
    worker: Worker | None = None
    """None where it is not known before its first report."""
    since: float | None = None
    """When a worker took it up, in seconds since the epoch."""
    iteration: int = 0
    announced: int | None = None
    """The last attempt whose start the listeners have heard."""
    known: set[int] = field(default_factory=set)
    """Iterations of which the ledger has the result."""
    waiting: list[Scored | Measured] = field(default_factory=list)
    """Results that do not count yet."""
    result: TrialResult = field(default_factory=TrialResult)
    """The result that counts so far."""
    end: Ended | None = None
    """The end that its worker reported."""

    @property
    def reached(self) -> int:
        """The last iteration of which a result is known."""
        return max(self.known, default=0)

    @property
    def digest(self) -> str | None:
        """The digest of its mask, where that is known already."""
        scored = next((report for report in self.waiting if isinstance(report, Scored)), None)
        return scored.digest if scored else self.result.digest


def reports_of(trial: TrialRecord) -> list[Scored | Measured]:
    """Return the results of a trial as it reported them, as far as the ledger has them."""
    scored, result = trial.scored, trial.result
    if scored is None and result.digest is not None:
        # At its first result it had not warmed up.
        scored = Scored(result.trained(0).metrics, result.digest)
    measured = dict(trial.measured)
    finished = trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY)
    if finished and result.accuracy is not None and result.loss is not None:
        # After other outcomes the iterations are not those of the last measurement.
        measured[result.iterations] = Measured(result.iterations, result.accuracy, result.loss)
    return [*([scored] if scored else []), *(measured[iteration] for iteration in sorted(measured))]
