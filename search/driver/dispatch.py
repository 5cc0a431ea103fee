"""What goes on between the workers and the truth: proposals out, results in, decisions made, and all of it recorded."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..config.study import Study
from ..files import StudyFolder
from ..process.shutdown import Drain
from ..protocol.outcome import Outcome
from ..record.recorder import Recorder
from ..screen.progress import Progress
from ..store.checkpoint import Checkpoints
from ..store.ledger import Ledger, TrialRecord
from .referee import Referee

#: Fewest ended trials of which a fraction is taken.
FEWEST_ENDED = 10


@dataclass
class _Open:
    """A trial whose end has not been decided."""

    proposal: Mapping[str, Any]
    running: bool = False
    known: set[int] = field(default_factory=set)
    """Iterations of which the ledger has the result."""
    waiting: list[dict[str, Any]] = field(default_factory=list)
    """Results that are known, and do not count yet."""
    counted: dict[str, Any] = field(default_factory=dict)
    """Last value of everything that counts."""
    end: dict[str, Any] | None = None
    """How the trial says that it ended."""
    where: dict[str, Any] = field(default_factory=dict)


class Dispatcher:
    """Hands out what the ledger proposes, and takes results: into the ledger first, then to the referee and the record.

    Knows nothing of Ray. Results of an attempt that is not the last one, and of a trial whose end is decided, are
    refused. A result that comes again, after a restart from a checkpoint, counts once.
    """

    def __init__(
        self,
        study: Study,
        folder: StudyFolder,
        ledger: Ledger,
        recorder: Recorder,
        progress: Progress,
        drain: Drain,
    ):
        self._study = study
        self._folder = folder
        self._ledger = ledger
        self._recorder = recorder
        self._progress = progress
        self._drain = drain
        self._referee = Referee(study)
        self._open: dict[int, _Open] = {}
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._leaving = False

    def take_up(self) -> None:
        """Takes up what the ledger knows: referee and record get what they have not been told."""
        for trial in self._ledger.trials():
            self._recorder.start_trial(trial.proposal)
            self._open[trial.number] = opened = _Open(trial.proposal, end=trial.end)
            for values in _results(trial):
                opened.known.add(values["training/iterations"])
                opened.waiting.append(values)
                self._take(trial.number, values)
            if trial.end or trial.outcome:
                self._referee.ended(trial.number)
            if trial.outcome:
                self._replay(trial, self._open.pop(trial.number))
        self._settle()

    def _replay(self, trial: TrialRecord, opened: _Open) -> None:
        for values in opened.waiting:
            if values["training/iterations"] <= trial.result.get("training/iterations", 0):
                self._recorder.trial_result(trial.number, values, trial.result.get("gate"))
        self._recorder.end_trial(trial.number, trial.outcome, trial.result)

    @property
    def ended(self) -> int:
        """Trials that came to an end since this driver took over."""
        return self._outcomes.total()

    @property
    def running(self) -> list[dict[str, Any]]:
        """What workers have taken up, and where: trial, attempt, host, pid, iteration, since (s since the epoch)."""
        return [
            {"trial": number, "attempt": opened.proposal["attempt"], **opened.where}
            for number, opened in sorted(self._open.items())
            if opened.running and opened.where
        ]

    @property
    def done(self) -> bool:
        """Whether every trial of the study has ended."""
        return not self._open and self._ledger.proposed >= self._study.search.trials

    @property
    def idle(self) -> bool:
        """Whether no trial runs."""
        return not any(opened.running for opened in self._open.values())

    def propose(self) -> dict[str, Any] | None:
        """The next trial to be run; None while there is none."""
        if self._drain.asked:
            self._say_leaving()
            return None
        proposal = self._ledger.propose()
        if proposal is None:
            return None
        opened = self._open.setdefault(proposal["number"], _Open(proposal))
        opened.proposal, opened.running = proposal, True
        opened.where = {}
        return proposal | {"digest": self._digest(opened)}

    def _say_leaving(self) -> None:
        if not self._leaving and not self.idle:
            self._leaving = True
            self._progress.say(f"{self._drain.reason}: what runs saves a checkpoint and leaves")

    @staticmethod
    def _digest(opened: _Open) -> str | None:
        """The digest of a trial's mask, where it is known already."""
        values = opened.waiting + [opened.counted]
        return next((each["digest"] for each in values if "digest" in each), None)

    def started(self, number: int) -> None:
        """A worker took up a trial."""
        if (opened := self._open.get(number)) is not None:
            opened.where = {"host": None, "pid": None, "iteration": max(opened.known, default=0), "since": time.time()}
            self._recorder.start_trial(opened.proposal)
            self._progress.trial_started(number)

    def result(self, number: int, attempt: int, values: dict[str, Any], host: str = "", pid: int = 0) -> bool:
        """Takes a result: metrics, and "outcome" with perhaps "reason" where the trial ends; returns if it goes on."""
        opened = self._open.get(number)
        if opened is None or opened.proposal["attempt"] != attempt:
            return False
        end = {key: values.pop(key) for key in ("outcome", "reason") if key in values}
        iteration = values["training/iterations"]
        opened.where |= {"host": host, "pid": pid, "iteration": iteration}
        new = iteration not in opened.known and ("spectral/objective" in values or "accuracy/val" in values)
        if new:
            opened.known.add(iteration)
            opened.waiting.append(values)
            self._take(number, values)
        if end:
            # An attempt that ended before it trained may come after one that did.
            iteration = max(iteration, *opened.known, 0)
            opened.end, opened.running = end | {"training/iterations": iteration}, False
            self._referee.ended(number)
        # What is decided at once is written once, as the end of the trial.
        if not (end and self._referee.decided(number, iteration)):
            self._write(number, attempt, values if new else None, opened.end)
        self._settle()
        return number in self._open and not end

    def _take(self, number: int, values: Mapping[str, Any]) -> None:
        if "spectral/objective" in values:
            self._referee.scored(number, values["spectral/objective"])
        if "accuracy/val" in values:
            self._referee.measured(number, values["training/iterations"], values["accuracy/val"])

    def _write(
        self, number: int, attempt: int, values: Mapping[str, Any] | None, end: Mapping[str, Any] | None
    ) -> None:
        if values and "spectral/objective" in values:
            self._ledger.scored(number, attempt, values)
        if values and "accuracy/val" in values:
            self._ledger.measured(number, attempt, values)
        if end:
            self._ledger.said(number, attempt, end)

    def left(self, number: int, attempt: int) -> None:
        """A trial left because it was asked to: it goes on from its checkpoint when the study is resumed."""
        if (opened := self._current(number, attempt)) is not None:
            opened.running = False

    def lost(self, number: int, attempt: int, reason: str) -> None:
        """The worker of a trial died: the trial is tried again, or has failed."""
        opened = self._current(number, attempt)
        if opened is None:
            return
        opened.running = False
        reached = max(opened.known, default=0)
        if self._drain.asked:
            # Who asks a search to leave may have asked its workers, too.
            return
        if self._ledger.lost(number, attempt, reached):
            self._progress.say(f"trial {number}: {reason}; it is tried again")
            return
        opened.end = {"outcome": Outcome.FAILED.value, "reason": reason, "training/iterations": reached}
        self._referee.ended(number)
        if not self._referee.decided(number, reached):
            self._write(number, attempt, None, opened.end)
        self._settle()

    def interrupted(self) -> None:
        """All that run lost their workers through no fault of their own: they are tried again, however often."""
        for number, opened in self._open.items():
            if opened.running:
                opened.running = False
                self._ledger.interrupted(number, opened.proposal["attempt"])

    def _current(self, number: int, attempt: int) -> _Open | None:
        opened = self._open.get(number)
        return opened if opened is not None and opened.proposal["attempt"] == attempt else None

    def _settle(self) -> None:
        """Counts and records what the referee's decisions allow."""
        for number in sorted(self._open):
            self._settle_one(number, self._open[number])

    def _settle_one(self, number: int, opened: _Open) -> None:
        clearance, stopped = self._referee.clearance(number), self._referee.stopped(number)
        counting = [values for values in opened.waiting if values["training/iterations"] <= clearance]
        for values in counting:
            opened.waiting.remove(values)
            opened.counted |= values
        outcome, end = None, opened.end
        if stopped is not None:
            outcome = Outcome.STOPPED_EARLY if stopped else Outcome.STOPPED_BY_GATE
        elif end and self._referee.decided(number, end["training/iterations"]):
            outcome = Outcome(end["outcome"])
            opened.counted |= end
        gate = self._referee.gate(number)
        result = opened.counted | ({"gate": gate} if gate else {})
        if outcome:
            self._ledger.finish(number, opened.proposal["attempt"], outcome, result)
        if counting or outcome:
            # A worker that died before it took the trial up has not told so.
            self._recorder.start_trial(opened.proposal)
        for values in counting:
            self._recorder.trial_result(number, values, gate)
            self._progress.trial_result(number, values, gate)
        if outcome:
            self._recorder.end_trial(number, outcome, result)
            self._progress.trial_ended(number, outcome, result)
            Checkpoints(self._folder.checkpoints(f"trial {number}")).clear()
            del self._open[number]
            self._count(outcome, result)

    def _count(self, outcome: Outcome, result: Mapping[str, Any]) -> None:
        self._outcomes[outcome] += 1
        if outcome is not Outcome.FAILED:
            return
        self._reasons[result.get("reason", "")] += 1
        failed, ended, faults = self._outcomes[Outcome.FAILED], self.ended, self._study.faults
        too_many = faults.max_failures is not None and failed >= faults.max_failures
        if too_many or (ended >= FEWEST_ENDED and failed > faults.failure_fraction * ended):
            reason = self._reasons.most_common(1)[0][0]
            self._drain.ask(f"{failed} of {ended} trials failed; the commonest reason: {reason}")


def _results(trial: TrialRecord) -> list[dict[str, Any]]:
    """The results of a trial as it reported them, as far as the ledger has them."""
    found = []
    known = trial.scored or {k: v for k, v in trial.result.items() if not k.startswith(("accuracy/", "training/"))}
    if "spectral/objective" in known:
        found.append(known | {"training/iterations": 0})
    measured = dict(trial.measured)
    if trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY) and "accuracy/val" in trial.result:
        # Of other ends the iterations are not those of the last measurement.
        last = {
            key: value for key, value in trial.result.items() if key.startswith("training/") or key == "accuracy/val"
        }
        measured[last["training/iterations"]] = last
    return found + [measured[iteration] for iteration in sorted(measured)]
