"""What the screen shows while a study runs: live on a terminal, a plain line for each trial elsewhere."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..protocol.outcome import Outcome

_WORDS = {
    Outcome.FINISHED: "finished",
    Outcome.STOPPED_BY_GATE: "gated",
    Outcome.STOPPED_EARLY: "stopped early",
    Outcome.DIVERGED: "diverged",
    Outcome.REJECTED: "rejected",
    Outcome.FAILED: "failed",
}


class Progress:
    """Counts trials by what became of them, and knows the best so far and the time left.

    `score` is what the study's objective is called.
    """

    def __init__(self, console: Console, trials: int, score: str, ended: Mapping[Outcome, int] | None = None):
        self._console = console
        self._score = score
        self._trials = trials
        self._ended = Counter(ended or {})
        self._resumed = sum(self._ended.values())
        self._running: dict[int, dict[str, Any]] = {}
        self._finals: dict[str, str] = {}
        self._finals_total = 0
        self._best_score = self._best_accuracy = float("-inf")
        self._begun = time.monotonic()
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, line: str) -> None:
        """Prints one line, above the live display where there is one."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def trial_started(self, number: int) -> None:
        """A trial began to draw its candidates."""
        self._running[number] = {}

    def trial_result(self, number: int, values: Mapping[str, Any], gate: str | None) -> None:
        """A trial reported."""
        known = self._running.setdefault(number, {})
        known.update(values, gate=gate)
        self._best_score = max(self._best_score, values.get("spectral/objective", float("-inf")))
        self._best_accuracy = max(self._best_accuracy, values.get("accuracy/val", float("-inf")))

    def trial_ended(self, number: int, outcome: Outcome, result: Mapping[str, Any]) -> None:
        """A trial ended with that result."""
        values = self._running.pop(number, {}) | result
        self._ended[outcome] += 1
        if not self._console.is_terminal or outcome is Outcome.FAILED:
            self.say(self._line(number, outcome, values))

    def _line(self, number: int, outcome: Outcome, values: Mapping[str, Any]) -> str:
        parts = [f"[{sum(self._ended.values()):>3}/{self._trials}] trial {number:<4} {_WORDS[outcome]:<14}"]
        if "spectral/objective" in values:
            parts.append(f"{self._score} {values['spectral/objective']:.3f}")
        if values.get("gate") == "control":
            parts.append("control group")
        if "accuracy/val" in values:
            parts.append(f"accuracy {values['accuracy/val']:.4f} at {values['training/iterations']} iterations")
        if "reason" in values:
            parts.append(values["reason"])
        return "  ".join(parts)

    def finals_started(self, total: int) -> None:
        """Full training of `total` masks and baselines more begins."""
        self._finals_total += total

    def final_result(self, label: str, result: Mapping[str, Any]) -> None:
        """Full training reported, or ended where there is an outcome."""
        accuracy = result.get("accuracy/val_final")
        state = f"{accuracy:.4f}" if accuracy is not None else str(result.get("reason", ""))
        self._finals[label] = f"{state} (done)" if "outcome" in result else state
        if "outcome" in result and not self._console.is_terminal:
            self.say(f"full training of {label}: {result['outcome']}, validation accuracy {state}")

    def _render(self) -> Group:
        ended = sum(self._ended.values())
        warming = [number for number, values in self._running.items() if values.get("training/iterations", 0) > 0]
        counts = Table.grid(padding=(0, 2))
        counts.add_row("trials", f"{ended} of {self._trials}", self._time_left(ended))
        gated = self._ended[Outcome.STOPPED_BY_GATE]
        stopped = self._ended[Outcome.STOPPED_EARLY]
        finished = self._ended[Outcome.FINISHED]
        counts.add_row("gated", str(gated), f"stopped early {stopped}   finished {finished}")
        counts.add_row("warming up", str(len(warming)), f"scoring {len(self._running) - len(warming)}")
        bad = sum(self._ended[outcome] for outcome in (Outcome.DIVERGED, Outcome.REJECTED, Outcome.FAILED))
        if bad:
            counts.add_row("lost", str(bad), "diverged, rejected or failed")
        if self._best_score > float("-inf"):
            accuracy = f"warm-up accuracy {self._best_accuracy:.4f}" if self._best_accuracy >= 0 else ""
            counts.add_row("best so far", f"{self._score} {self._best_score:.3f}", accuracy)
        bar = Table.grid()
        bar.add_row(ProgressBar(total=self._trials, completed=ended, width=60))
        parts = [bar, counts]
        if self._finals_total:
            done = sum(state.endswith("(done)") for state in self._finals.values())
            parts.append(Text(f"full training: {done} of {self._finals_total} done"))
            parts += [Text(f"  {label:<12} validation accuracy {state}") for label, state in self._finals.items()]
        return Group(*parts)

    def _time_left(self, ended: int) -> str:
        done = ended - self._resumed
        if done < 2 or ended >= self._trials:
            return ""
        seconds = (time.monotonic() - self._begun) / done * (self._trials - ended)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"
