"""The events of a search, and who listens to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...spectral.chance import ZScore
from ..files import JsonObject
from .label import Label
from .network import NetworkListing
from .outcome import Outcome
from .proposal import Proposal
from .report import Measured, Scored
from .result import Decision, TrialResult
from .training import CoordinateProgress, Entry, TrainingEnd, TrainingProgress


@dataclass(frozen=True)
class Summary:
    """The summary of a study that ended."""

    status: str
    """MLflow's status of the search: FINISHED, FAILED or KILLED."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Sequence[Path] = ()
    """Tables and plots."""
    verdicts: Sequence[str] = ()
    headline: str = ""
    """What the best mask does beside a random one, in few words; empty where none was trained."""
    trust: str = ""
    """The verdict that says whether the score can be trusted."""
    rows: Sequence[JsonObject] = ()
    """The leaderboard, best first, as it is recorded."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """The 95 % intervals of test accuracies, by the masks of the rows."""
    pareto: Sequence[Label] | None = None
    """The trials on the Pareto front; None where that is not known."""


class Listener:
    """A listener to the events of a search; it overrides those that it is for.

    One with `hears_history` also gets the events of earlier drivers when a study is taken up, and must accept an event
    twice.
    """

    hears_history = False

    def study_started(self, network: NetworkListing) -> None:
        """Handle the start, or the resumption, of the search of `network`."""

    def weights_ready(self, digests: Mapping[int, str], files: Sequence[Path]) -> None:
        """Handle that the weights which masks start from are there: their digests by dense iterations.

        `files` hold those that are not the initial weights.
        """

    def trial_started(self, proposal: Proposal) -> None:
        """Handle that a worker took up a trial."""

    def trial_reported(self, number: int, report: Scored | Measured, gate: Decision | None) -> None:
        """Handle a result of trial `number` that counts; `gate` is what the gate decided, if there is a gate."""

    def trial_ended(self, number: int, outcome: Outcome, result: TrialResult) -> None:
        """Handle the end of trial `number`."""

    def trainings_started(self, entries: Sequence[Entry]) -> None:
        """Handle the start of the full training of `entries`."""

    def training_opened(self, entry: Entry, again: bool) -> None:
        """Handle that the full training of a baseline is to be recorded; `again` where it failed before."""

    def training_progressed(self, entry: Entry, progress: TrainingProgress) -> None:
        """Handle a measurement in the course of a full training."""

    def coordinate_measured(self, entry: Entry, progress: CoordinateProgress) -> None:
        """Handle the coordinate of masks that change, in the course of a full training."""

    def training_ended(self, entry: Entry, end: TrainingEnd) -> None:
        """Handle the end of a full training."""

    def compared_with_chance(self, label: Label, distance: ZScore, picture: Path) -> None:
        """Handle the z-score of the distance of a trial's mask; `picture` shows every layer."""

    def noticed(self, line: str) -> None:
        """Handle a line that the user is to read."""

    def study_ended(self, summary: Summary) -> None:
        """Handle the end, or the interruption, of the search."""


class Listeners(Listener):
    """Passes each event on to several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    @property
    def of_history(self) -> "Listeners":
        """Those of the listeners that hear what happened before."""
        return Listeners(*(listener for listener in self._listeners if listener.hears_history))


def _passing_on(event: str) -> Callable[..., None]:
    def pass_on(self: Listeners, *arguments: Any) -> None:
        for listener in self._listeners:
            getattr(listener, event)(*arguments)

    return pass_on


for _event in [name for name, value in vars(Listener).items() if callable(value) and not name.startswith("_")]:
    setattr(Listeners, _event, _passing_on(_event))
