"""Where a search stands, as its folder says: for whoever looks on, while it runs and afterwards."""

import fcntl
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from ..config.study import Study
from ..files import StudyFolder, plain
from ..process.heartbeat import read_board
from ..record.spool import undelivered
from ..store.ledger import Ledger, TrialRecord
from ..store.owner import Holder
from .leaderboard import Row, leaderboard

#: The rate is that of the trials that ended within these seconds.
WINDOW = 600.0


class State(StrEnum):
    """Whether a search runs, and how it ended if it does not."""

    RUNNING = "running"
    LEAVING = "leaving"
    DIED = "died"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True)
class Status:
    """Where a search stands."""

    study: Study
    state: State
    driver: Holder | None
    """The process that runs it, or that died while it did."""
    phase: str | None
    """What the driver does: trials, full training; None where it has not said so."""
    silent: float | None
    """Seconds since the driver's last word; None where there is none from it."""
    outcomes: dict[str, int]
    """Ended trials by their outcome."""
    running: list[dict[str, Any]]
    """What runs, and where: trial, attempt, host, pid, iteration, since (seconds since the epoch)."""
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
    """Events that MLflow has still to be told."""
    problem: str | None
    """What keeps it from being told."""
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

    def to_dict(self) -> dict[str, Any]:
        """As plain values; numbers that are not finite are None."""
        facts = {name: getattr(self, name) for name in ("state", "phase", "silent", "outcomes", "running", "retried")}
        return plain(
            {"study": self.study.id, "trials": self.study.search.trials, "ended": self.ended}
            | facts
            | {
                "driver": asdict(self.driver) if self.driver else None,
                "best": self.best.values() if self.best else None,
                "pareto": self.pareto,
                "finals": self.finals,
                "trials_per_hour": self.rate,
                "seconds_left": self.seconds_left,
                "spool": {"depth": self.depth, "problem": self.problem},
                "disk_bytes": self.disk,
            }
        )


def status_of(study: Study, folder: StudyFolder, ledger: Ledger) -> Status:
    """Where `study` stands, from the files of `folder` and from `ledger`; changes nothing."""
    trials, finals = ledger.trials(), ledger.finals()
    driver, held = _driver(folder)
    board = read_board(folder.board) or {}
    # Of a driver before this one, or of none.
    own = held and board.get("pid") == driver.pid and board.get("host") == driver.host
    ended = [trial for trial in trials if trial.outcome]
    complete = len(ended) == study.search.trials and board.get("phase", "done") == "done"
    rows = [row for row in leaderboard(ledger) if row.digest]
    spool = board.get("spool", {}) if own else {}
    return Status(
        study,
        _state(held, driver is not None, complete, folder),
        driver,
        board.get("phase") if own else None,
        time.time() - board["time"] if own else None,
        dict(Counter(trial.outcome.value for trial in ended).most_common()),
        board.get("running", []) if own else [],
        {trial.label: trial.attempt for trial in trials if trial.attempt > 1},
        rows[0] if rows else None,
        [f"trial {number}" for number in ledger.pareto()],
        len(finals),
        _rate(ended, driver) if held else None,
        spool.get("depth", undelivered(folder.spool)),
        spool.get("problem"),
        _disk(folder),
    )


def _state(held: bool, named: bool, complete: bool, folder: StudyFolder) -> State:
    if held:
        return State.LEAVING if folder.leave.exists() else State.RUNNING
    if complete:
        return State.FINISHED
    return State.DIED if named else State.INTERRUPTED


def _driver(folder: StudyFolder) -> tuple[Holder | None, bool]:
    """The driver that the lock names, and whether it still holds it; one that left in good order is not named."""
    try:
        with folder.lock.open(encoding="utf-8", errors="replace") as file:
            driver = Holder.from_json(file.read())
            if driver is None:
                return None, False
            # Held for an instant, and only where a driver died: never in the way of one that begins.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return driver, False
    except BlockingIOError:
        return driver, True
    except OSError:
        return None, False


def _rate(ended: list[TrialRecord], driver: Holder) -> float | None:
    now = datetime.now()
    begun = (
        datetime.strptime(driver.since, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
    )
    start = max(begun, now - timedelta(seconds=WINDOW))
    recent = sum(trial.ended_at is not None and trial.ended_at >= start for trial in ended)
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
