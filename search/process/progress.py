"""Progress as the supervisor counts it."""

from ..protocol.events import Listener
from ..protocol.outcome import Outcome
from ..protocol.result import TrialResult
from ..protocol.training import Entry, TrainingEnd
from .link import SupervisorLink


class ProgressReport(Listener):
    """The listener that reports ends to the supervisor, which counts restarts without progress."""

    def __init__(self, link: SupervisorLink) -> None:
        self._link = link

    def trial_ended(self, number: int, outcome: Outcome, result: TrialResult) -> None:
        """Report progress."""
        self._link.report_progress()

    def training_ended(self, entry: Entry, end: TrainingEnd) -> None:
        """Report progress, unless the training failed and is tried again when the study is resumed."""
        if end.outcome is not Outcome.FAILED:
            self._link.report_progress()
