"""The dispatcher between workers and ledger: proposals out, reports in, outcomes decided, kept and passed on."""

import time
from collections.abc import Callable, Sequence

from ..process.heartbeat import RunningTrial
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Stage
from ..protocol.report import Ended, LeftOnRequest, Measured, Report, Scored, StorageFailed
from ..remote.mirror import mirror_of
from ..store.records import TrialRecord
from .budget import FailureBudget
from .opentrial import OpenTrial, Worker, reports_of
from .referee import Referee
from .running import RunningSearch
from .turns import Turns


class Dispatcher:
    """Hands out proposals, and takes reports: into the ledger first, then to the referee and to the listeners.

    Knows nothing of Ray. Reports of an attempt that is not the last one, and of a trial whose end is decided, are
    refused. A result that comes again, after a restart from a checkpoint, counts once.

    With `resources.scoring_cpus` a trial leaves its worker once it is scored; past the gate it is handed out again, the
    same attempt, to be trained. `scoring_slots` returns how many trials can be scored at once beside the trainings.
    """

    def __init__(self, search: RunningSearch, scoring_slots: Callable[[], int] | None = None) -> None:
        study = search.study
        self._search = search
        self._referee = Referee(study.warmup, study.gate, study.seed)
        self._budget = FailureBudget(study.faults)
        self._open: dict[int, OpenTrial] = {}
        self._turns = Turns(study, self._open, self._referee, scoring_slots)
        self._leaving = False
        self._mirror = mirror_of(search.folder)

    def take_up(self) -> None:
        """Take up what the ledger holds: the referee and the listeners of history get all of it."""
        history = self._search.listeners.of_history
        for trial in self._search.ledger.trials():
            history.trial_started(trial.proposal)
            opened = self._open[trial.number] = OpenTrial(trial.proposal, end=trial.end)
            for report in reports_of(trial):
                opened.known.add(report.iteration)
                opened.waiting.append(report)
                self._inform_referee(trial.proposal, report)
            if trial.end or trial.outcome:
                self._referee.ended(trial.number)
            opened.announced = trial.proposal.attempt
            if trial.outcome:
                self._replay(trial, self._open.pop(trial.number))
        self._settle(*self._open)

    def _replay(self, trial: TrialRecord, opened: OpenTrial) -> None:
        history = self._search.listeners.of_history
        for report in opened.waiting:
            if report.iteration <= trial.result.iterations:
                history.trial_reported(trial.number, report, trial.result.gate)
        if trial.outcome:
            history.trial_ended(trial.number, trial.outcome, trial.result)

    @property
    def ended(self) -> int:
        """Trials that came to an end since this driver took over."""
        return self._budget.ended

    @property
    def running(self) -> list[RunningTrial]:
        """The trials that workers have taken up."""
        return [
            RunningTrial(
                trial=number,
                attempt=opened.proposal.attempt,
                host=opened.worker.host if opened.worker else None,
                pid=opened.worker.pid if opened.worker else None,
                iteration=opened.iteration,
                since=opened.since,
            )
            for number, opened in sorted(self._open.items())
            if opened.running and opened.since is not None
        ]

    @property
    def starting(self) -> list[tuple[int, int]]:
        """The trials that were proposed and wait for a worker: number and attempt of each."""
        waiting = [opened.proposal for opened in self._open.values() if opened.running and opened.since is None]
        return sorted((proposal.number, proposal.attempt) for proposal in waiting)

    @property
    def done(self) -> bool:
        """Whether every trial of the study has ended."""
        return not self._open and self._search.ledger.proposed >= self._search.study.search.trials

    @property
    def idle(self) -> bool:
        """Whether no trial runs."""
        return not any(opened.running for opened in self._open.values())

    def propose(self) -> Proposal | None:
        """Return the next trial to be run; None while there is none."""
        if self._search.shutdown.requested:
            self._announce_leaving()
            return None
        while (number := self._turns.next()) is None:
            if not self._turns.may_score:
                return None
            proposal = self._search.proposer.propose(self._turns.may_open)
            if proposal is None:
                return None
            opened = self._open.setdefault(proposal.number, OpenTrial(proposal))
            opened.proposal, opened.waits = proposal, self._turns.stage(proposal, opened)
        return self._hand_out(self._open[number])

    def _hand_out(self, opened: OpenTrial) -> Proposal:
        assert opened.waits is not None, "it is its turn"
        opened.stage, opened.waits = opened.waits, None
        opened.running, opened.worker, opened.since = True, None, None
        return opened.proposal.handed_out(opened.stage, opened.digest)

    def _announce_leaving(self) -> None:
        if not self._leaving and not self.idle:
            self._leaving = True
            reason = self._search.shutdown.reason
            self._search.listeners.noticed(f"{reason}: what runs saves a checkpoint and leaves")

    def started(self, number: int, worker: Worker | None = None) -> None:
        """Take that a worker took up a trial, and which one, where that is known."""
        if (opened := self._open.get(number)) is not None:
            opened.worker, opened.since, opened.iteration = worker, time.time(), opened.reached
            opened.announced = opened.proposal.attempt
            self._search.listeners.trial_started(opened.proposal)

    def report(self, number: int, attempt: int, reports: Sequence[Report], worker: Worker, iteration: int = 0) -> bool:
        """Take what a worker reports of a trial after a step, and return whether the trial goes on there."""
        for report in reports:
            if isinstance(report, StorageFailed):
                self._search.shutdown.request(report.reason)
        if (opened := self._current(number, attempt)) is None:
            return False
        if any(isinstance(report, LeftOnRequest | StorageFailed) for report in reports):
            # The trial goes on from its checkpoint when the study is resumed.
            opened.running = False
            return False
        opened.worker, opened.iteration = worker, iteration
        if any(isinstance(report, Scored | Ended) for report in reports):
            # Whoever hears of it reads the files of the trial here.
            self._mirror.pull_all(self._search.folder.trial(number))
        new = [r for r in reports if isinstance(r, Scored | Measured) and r.iteration not in opened.known]
        for report in new:
            opened.known.add(report.iteration)
            opened.waiting.append(report)
            self._inform_referee(opened.proposal, report)
        end = next((report for report in reports if isinstance(report, Ended)), None)
        if end:
            # An attempt that ended before it trained may come after one that did.
            self._end(number, opened, Ended(end.outcome, max(end.iteration, opened.reached), end.reason), new)
        else:
            self._keep(number, attempt, new)
            if opened.stage is Stage.SCORING:
                opened.running, opened.waits = False, Stage.TRAINING
        self._settle(number)
        return number in self._open and opened.running

    def _inform_referee(self, proposal: Proposal, report: Scored | Measured) -> None:
        number = proposal.number
        match report:
            case Scored():
                self._referee.scored(number, report.objective, proposal.distribution.group)
            case Measured():
                self._referee.measured(number, report.iteration, report.accuracy, report.loss)

    def _end(self, number: int, opened: OpenTrial, end: Ended, new: Sequence[Scored | Measured] = ()) -> None:
        opened.end, opened.running = end, False
        self._referee.ended(number)
        # A result that is decided at once is written once, as the end of the trial.
        if not self._referee.decided(number, end.iteration):
            self._keep(number, opened.proposal.attempt, [*new, end])

    def _keep(self, number: int, attempt: int, reports: Sequence[Scored | Measured | Ended]) -> None:
        for report in reports:
            match report:
                case Scored():
                    self._search.ledger.scored(number, attempt, report)
                case Measured():
                    self._search.ledger.measured(number, attempt, report)
                case Ended():
                    self._search.ledger.ended(number, attempt, report)

    def lost(self, number: int, attempt: int, reason: str) -> None:
        """Take that the worker of a trial died: the trial is retried, or has failed."""
        opened = self._current(number, attempt)
        if opened is None or not opened.running:
            return
        opened.running = False
        if self._search.shutdown.requested:
            # The signal that ends the search may have reached its workers, too.
            return
        if (times := self._search.ledger.lost(number, attempt, opened.reached)) == 0:
            return
        if times <= self._search.study.faults.retries:
            self._search.proposer.retry(number)
            self._search.listeners.noticed(f"trial {number}: {reason}; it is tried again")
            return
        self._end(number, opened, Ended(Outcome.FAILED, opened.reached, reason))
        self._settle(number)

    def interrupted(self) -> None:
        """Take that all running trials lost their workers through no fault of their own: they are proposed again."""
        for number, opened in self._open.items():
            if opened.running:
                opened.running = False
                if self._search.ledger.is_current(number, opened.proposal.attempt):
                    self._search.proposer.retry(number)

    def _current(self, number: int, attempt: int) -> OpenTrial | None:
        opened = self._open.get(number)
        return opened if opened is not None and opened.proposal.attempt == attempt else None

    def _settle(self, *numbers: int) -> None:
        """Count and record what the referee's decisions allow of these trials, and of those that it has decided on.

        Not of all that are open: with hundreds of workers that would be the most of what the driver does.
        """
        for number in sorted(self._referee.news().union(numbers) & self._open.keys()):
            self._settle_one(number, self._open[number])

    def _settle_one(self, number: int, opened: OpenTrial) -> None:
        """Turn the reports of a trial that count into its result, and where its end is decided into its outcome."""
        clearance, gate = self._referee.clearance(number), self._referee.gate(number)
        counting = [report for report in opened.waiting if report.iteration <= clearance]
        opened.waiting = [report for report in opened.waiting if report.iteration > clearance]
        for report in counting:
            opened.result = opened.result.after(report)
        outcome = self._outcome(number, opened)
        if outcome and opened.end and self._referee.stopped(number) is None:
            opened.result = opened.result.after(opened.end)
        result = opened.result.gated(gate)
        attempt = opened.proposal.attempt
        if outcome and self._search.ledger.finish(number, attempt, outcome, result):
            self._search.proposer.learn(number, outcome, result)
        if (counting or outcome) and opened.announced != attempt:
            # A worker that died before it took the trial up has not reported so.
            opened.announced = attempt
            self._search.listeners.of_history.trial_started(opened.proposal)
        for report in counting:
            self._search.listeners.trial_reported(number, report, gate)
        if outcome:
            self._search.listeners.trial_ended(number, outcome, result)
            self._mirror.remove(self._search.folder.checkpoints(f"trial {number}"))
            del self._open[number]
            if reason := self._budget.spent(outcome, result.reason):
                self._search.shutdown.request(reason)

    def _outcome(self, number: int, opened: OpenTrial) -> Outcome | None:
        """Return the outcome of a trial; None while it is not decided."""
        stopped = self._referee.stopped(number)
        if stopped is not None:
            return Outcome.STOPPED_EARLY if stopped else Outcome.STOPPED_BY_GATE
        if opened.end and self._referee.decided(number, opened.end.iteration):
            return opened.end.outcome
        return None
