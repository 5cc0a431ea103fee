"""The status of a search, read from its folder while it runs and afterwards."""

import fcntl
import os
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ..config.study import Study
from ..files import JsonObject, StudyFolder, plain
from ..process.heartbeat import RunningTrial, read_heartbeat
from ..record.spool import undelivered
from ..store.ledger import Ledger
from ..store.owner import LockOwner
from ..store.records import TrialRecord
from .leaderboard import Row, leaderboard

#: The rate is that of the trials that ended within these seconds.
WINDOW = 600.0


class State(StrEnum):
    """The state of a search: whether it runs, and how it ended if it does not."""

    RUNNING = "running"
    LEAVING = "leaving"
    DIED = "died"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True)
class Status:
    """How far a search has come, and who runs it."""

    study: Study
    state: State
    driver: LockOwner | None
    """The process that runs it, or that died while it did."""
    phase: str | None
    """What the driver does: trials, full training; None where it is not known."""
    silent: float | None
    """Seconds since the driver's last heartbeat; None where there is none from it."""
    outcomes: dict[str, int]
    """Ended trials by their outcome."""
    running: list[RunningTrial]
    retried: dict[str, int]
    """Last attempt of the trials that needed more than one."""
    best: Row | None
    pareto: list[str]
    """Of several objectives: the trials that no other betters in all of them."""
    finals: int
    """Full trainings that ended."""
    rate: float | None
    """Trials an hour over the last ten minutes; None where too few ended to say."""
    depth: int
    """Events that have not reached MLflow yet."""
    problem: str | None
    """Why the last try to deliver them failed."""
    disk: int
    """Bytes that the study's folder takes."""

    @property
    def ended(self) -> int:
        """Trials that have ended."""
        return sum(self.outcomes.values())

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last trial ends, at this rate."""
        remaining = self.study.search.trials - self.ended
        return remaining / self.rate * 3600 if self.rate and remaining else None

    def to_dict(self) -> JsonObject:
        """Return plain values; numbers that are not finite are None."""
        document: JsonObject = plain(
            {
                "study": self.study.id,
                "trials": self.study.search.trials,
                "ended": self.ended,
                "state": self.state,
                "phase": self.phase,
                "silent": self.silent,
                "outcomes": self.outcomes,
                "running": self.running,
                "retried": self.retried,
                "driver": self.driver.to_dict() if self.driver else None,
                "best": self.best.values() if self.best else None,
                "pareto": self.pareto,
                "finals": self.finals,
                "trials_per_hour": self.rate,
                "seconds_left": self.seconds_left,
                "spool": {"depth": self.depth, "problem": self.problem},
                "disk_bytes": self.disk,
            }
        )
        return document


def status_of(study: Study, folder: StudyFolder, ledger: Ledger) -> Status:
    """Return where `study` stands, from the files of `folder` and from `ledger`; nothing is changed."""
    trials = ledger.trials()
    ended = [trial for trial in trials if trial.outcome]
    driver, runs = _driver(folder)
    last = read_heartbeat(folder.heartbeat)
    complete = len(ended) == study.search.trials and (last is None or last.get("phase", "done") == "done")
    # That of a driver before this one says nothing about it.
    own = (
        last if last and runs and driver and (last.get("pid"), last.get("host")) == (driver.pid, driver.host) else None
    )
    best = next((row for row in leaderboard(ledger) if not row.is_baseline), None)
    return Status(
        study=study,
        state=_state(runs, driver is not None, complete, folder),
        driver=driver,
        phase=own["phase"] if own else None,
        silent=time.time() - own["time"] if own else None,
        outcomes=dict(Counter(trial.outcome.value for trial in ended if trial.outcome).most_common()),
        running=own["running"] if own else [],
        retried={trial.label: trial.proposal.attempt for trial in trials if trial.proposal.attempt > 1},
        best=best,
        pareto=list(ledger.pareto()),
        finals=len(ledger.finals()),
        rate=_rate(ended, driver) if driver and runs else None,
        depth=own["spool"]["depth"] if own else undelivered(folder.spool),
        problem=own["spool"]["problem"] if own else None,
        disk=_disk(folder),
    )


def _state(runs: bool, named: bool, complete: bool, folder: StudyFolder) -> State:
    if runs:
        return State.LEAVING if folder.leave.exists() else State.RUNNING
    if complete:
        return State.FINISHED
    return State.DIED if named else State.INTERRUPTED


def _driver(folder: StudyFolder) -> tuple[LockOwner | None, bool]:
    """Return the driver that the lock names, and whether it still runs; one that left in good order is not named."""
    try:
        with folder.lock.open(encoding="utf-8", errors="replace") as file:
            driver = LockOwner.from_json(file.read())
            if driver is None:
                return None, False
            try:
                # Held for an instant, and only where a driver died: never in the way of one that begins.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return driver, True
            return driver, False
    except OSError:
        return None, False


def _rate(ended: list[TrialRecord], driver: LockOwner) -> float | None:
    """Return the trials an hour since the driver began, or over the window; None where fewer than two ended."""
    now = datetime.now(UTC)
    start = max(driver.since, now - timedelta(seconds=WINDOW))
    # Optuna's times are those of this machine, without a time zone.
    recent = sum(trial.ended_at is not None and trial.ended_at.astimezone(UTC) >= start for trial in ended)
    seconds = (now - start).total_seconds()
    return recent / seconds * 3600 if recent > 1 and seconds > 0 else None


def _disk(folder: StudyFolder) -> int:
    total = 0
    for parent, _, files in os.walk(folder.path):
        for name in files:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                # Gone meanwhile.
                continue
    return total
