"""The heartbeat: the driver's state, written every few seconds, for `fullspectrum status`."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypedDict, cast

from ..files import plain

#: Seconds between two writes.
INTERVAL = 2.0


class RunningTrial(TypedDict):
    """A trial that runs, and where."""

    trial: int
    attempt: int
    host: str | None
    pid: int | None
    """None, as the host, where no worker has taken it up yet."""
    iteration: int
    since: float
    """Seconds since the epoch."""


class SpoolState(TypedDict):
    """What has not reached MLflow yet."""

    depth: int
    """Events."""
    problem: str | None
    """Why the last try to deliver failed."""


class Snapshot(TypedDict):
    """How far a driver has come."""

    phase: str
    """"pretraining", "trials", "full training" or "done"."""
    ended: int
    """Trials that ended since this driver started."""
    running: list[RunningTrial]
    spool: SpoolState


class DriverState(Snapshot):
    """A snapshot, and which process took it when."""

    time: float
    """Seconds since the epoch."""
    host: str
    pid: int


class Heartbeat:
    """The thread that writes the driver's state to `path` while it is entered, and once more on leaving.

    Nothing depends on the heartbeat: what fails in it is passed over.
    """

    def __init__(self, path: Path, snapshot: Callable[[], Snapshot]):
        self._path = path
        self._snapshot = snapshot
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(INTERVAL)

    def _beat(self) -> None:
        while not self._stopped.is_set():
            self._write()
            self._stopped.wait(INTERVAL)
        self._write()

    def _write(self) -> None:
        """Replace the file as a whole; unlike what must last, it is not flushed to the disk."""
        try:
            process = {"time": time.time(), "host": socket.gethostname(), "pid": os.getpid()}
            state = {**process, **self._snapshot()}
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            temporary.write_text(json.dumps(plain(state), allow_nan=False))
            os.replace(temporary, self._path)
        except Exception:  # noqa: BLE001 - a full disk, or a snapshot of what changes meanwhile
            return


def read_heartbeat(path: Path) -> DriverState | None:
    """Return the state that the heartbeat at `path` holds; None where there is none that can be read."""
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return cast(DriverState, state) if isinstance(state, dict) else None
