"""The progress of a study: live on a terminal, a plain line for each trial elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..protocol.events import Listener
from ..protocol.label import Label
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal
from ..protocol.report import Measured, Scored
from ..protocol.result import Decision, TrialResult
from ..protocol.training import Entry, TrainingEnd, TrainingProgress
from .console import print_line

#: How the screen names the ends of trials.
_WORDS = {
    Outcome.FINISHED: "finished",
    Outcome.STOPPED_BY_GATE: "gated",
    Outcome.STOPPED_EARLY: "stopped early",
    Outcome.DIVERGED: "diverged",
    Outcome.REJECTED: "rejected",
    Outcome.FAILED: "failed",
}


class Progress(Listener):
    """The progress of one study: trials by what became of them, the best so far, and the time left.

    `trials` is how many the study has in all, `score` the name of its objective; `ended` counts what ended before.
    """

    def __init__(self, console: Console, trials: int, score: str, ended: Mapping[Outcome, int] | None = None):
        self._console = console
        self._score = score
        self._trials = trials
        self._ended = Counter(ended or {})
        self._resumed = sum(self._ended.values())
        self._running: dict[int, int] = {}
        """Iterations of the trials that run, by number."""
        self._trainings: dict[Label, str] = {}
        self._trainings_total = 0
        self._trainings_done: set[Label] = set()
        self._best_score = self._best_accuracy = float("-inf")
        self._begun = time.monotonic()
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_interactive:
            self._live.stop()

    def noticed(self, line: str) -> None:
        """Print one line, above the live display where there is one."""
        print_line(self._console, line)

    def trial_started(self, proposal: Proposal) -> None:
        """Count a trial among those that draw their candidates."""
        self._running[proposal.number] = 0

    def trial_reported(self, number: int, report: Scored | Measured, gate: Decision | None) -> None:
        """Take note of how far a trial is, and of the best so far."""
        self._running[number] = report.iteration
        match report:
            case Scored():
                self._best_score = max(self._best_score, report.objective)
            case Measured():
                self._best_accuracy = max(self._best_accuracy, report.accuracy)

    def trial_ended(self, number: int, outcome: Outcome, result: TrialResult) -> None:
        """Count the outcome, and print a line where there is no live display."""
        self._running.pop(number, None)
        self._ended[outcome] += 1
        if not self._console.is_interactive or outcome is Outcome.FAILED:
            self.noticed(self._line(number, outcome, result))

    def _line(self, number: int, outcome: Outcome, result: TrialResult) -> str:
        parts = [f"[{sum(self._ended.values()):>3}/{self._trials}] trial {number:<4} {_WORDS[outcome]:<14}"]
        if result.objective is not None:
            parts.append(f"{self._score} {result.objective:.3f}")
        if result.gate == "control":
            parts.append("control group")
        if result.accuracy is not None:
            parts.append(f"accuracy {result.accuracy:.4f} at {result.iterations} iterations")
        if result.reason is not None:
            parts.append(result.reason)
        return "  ".join(parts)

    def trainings_started(self, entries: Sequence[Entry]) -> None:
        """Count so many full trainings more."""
        self._trainings_total += len(entries)

    def training_progressed(self, entry: Entry, progress: TrainingProgress) -> None:
        """Show the validation accuracy of a full training."""
        self._trainings[entry.label] = f"{progress.accuracy_val:.4f}"
        self._trainings_done.discard(entry.label)

    def training_ended(self, entry: Entry, end: TrainingEnd) -> None:
        """Show how a full training ended."""
        state = f"{end.accuracy_val:.4f}" if end.accuracy_val is not None else end.reason or ""
        self._trainings[entry.label] = state
        self._trainings_done.add(entry.label)
        if not self._console.is_interactive:
            self.noticed(f"full training of {entry.label}: {end.outcome}, validation accuracy {state}")

    def _render(self) -> Group:
        bar = Table.grid()
        bar.add_row(ProgressBar(total=self._trials, completed=sum(self._ended.values()), width=60))
        parts: list[RenderableType] = [bar, self._counts()]
        if self._trainings_total:
            parts.append(Text(f"full training: {len(self._trainings_done)} of {self._trainings_total} done"))
        for label, state in self._trainings.items():
            done = " (done)" if label in self._trainings_done else ""
            parts.append(Text(f"  {label:<12} validation accuracy {state}{done}"))
        return Group(*parts)

    def _counts(self) -> Table:
        """Return the table of trials by what became of them, and of the best so far."""
        ended = sum(self._ended.values())
        warming = sum(iteration > 0 for iteration in self._running.values())
        counts = Table.grid(padding=(0, 2))
        counts.add_row("trials", f"{ended} of {self._trials}", self._time_left(ended))
        gated = self._ended[Outcome.STOPPED_BY_GATE]
        stopped = self._ended[Outcome.STOPPED_EARLY]
        finished = self._ended[Outcome.FINISHED]
        counts.add_row("gated", str(gated), f"stopped early {stopped}   finished {finished}")
        counts.add_row("warming up", str(warming), f"scoring {len(self._running) - warming}")
        bad = sum(self._ended[outcome] for outcome in (Outcome.DIVERGED, Outcome.REJECTED, Outcome.FAILED))
        if bad:
            counts.add_row("lost", str(bad), "diverged, rejected or failed")
        if self._best_score > float("-inf"):
            accuracy = f"warm-up accuracy {self._best_accuracy:.4f}" if self._best_accuracy >= 0 else ""
            counts.add_row("best so far", f"{self._score} {self._best_score:.3f}", accuracy)
        return counts

    def _time_left(self, ended: int) -> str:
        done = ended - self._resumed
        if done < 2 or ended >= self._trials:
            return ""
        seconds = (time.monotonic() - self._begun) / done * (self._trials - ended)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
