"""Delivers a spool to MLflow in the background."""

import fcntl
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Self

from ...models.errors import InputError, first_line
from ...models.files import write_atomically
from ..store.owner import LockOwner
from .destination import Destination, record_file
from .event import Event, Note, to_json
from .experiment import Experiment
from .server import without_password
from .spool import position, position_file, read_events, undelivered

#: Events that are delivered together: a run that was started, measured and ended within one block takes a fraction of
#: the requests.
_BLOCK = 1000

#: Seconds between two looks for more events.
_POLL_SECONDS = 5.0

#: Shortest pause, in seconds, before another try.
_SHORTEST_PAUSE = 2.0

#: Longest pause, in seconds, before another try.
_LONGEST_PAUSE = 60.0

#: Seconds between two tries to lock a spool that another process delivers.
_LOCK_PAUSE = 0.2


def refused_file(spool: Path) -> Path:
    """Return the path of the file of events that MLflow refused for good, one JSON line each with the reason."""
    return spool.with_suffix(".refused.jsonl")


class Uploader:
    """Delivers a spool to MLflow in a thread of its own, from where the last delivery ended.

    Delivering an event again changes nothing (see `Experiment`), so that it does not matter where a delivery was cut
    off. While the server is away the uploader retries, with growing pauses; events that the server refuses for good are
    put aside. No other process delivers the spool at the same time.
    """

    def __init__(
        self,
        spool: Path,
        destination: Destination,
        on_runs: Callable[[Mapping[str, str]], None] | None = None,
    ):
        """Prepare the delivery.

        The thread calls `on_runs` with the MLflow ids of runs by their keys, when they are made or found.
        """
        self._spool = spool
        self._destination = destination
        self._on_runs = on_runs
        self._experiment: Experiment | None = None
        self._block: list[tuple[str, list[Event]]] = []
        self._block_end = 0
        self._refused: list[str] = []
        self._stop = threading.Event()
        self.problem: str | None = None
        """Why the last try failed; None while events are delivered."""
        self._thread = threading.Thread(target=self._work, name="mlflow-uploader", daemon=True)

    @property
    def position(self) -> int:
        """Bytes of the spool that are delivered."""
        return position(self._spool)

    @property
    def depth(self) -> int:
        """Events that are not delivered yet."""
        return undelivered(self._spool)

    @property
    def delivered(self) -> bool:
        """Whether every event in the spool is delivered, or was refused."""
        return self.depth == 0

    @property
    def refused(self) -> int:
        """Events that MLflow has refused for good."""
        file = refused_file(self._spool)
        return len(file.read_bytes().splitlines()) if file.exists() else 0

    def start(self, wait: float = 0.0) -> Self:
        """Begin to deliver. Raise InputError where another process delivers the spool, still after `wait` seconds."""
        end = time.monotonic() + wait
        while True:
            try:
                self._lock = _lock(self._spool)
                break
            except InputError:
                if time.monotonic() >= end:
                    raise
            time.sleep(_LOCK_PAUSE)
        self._write_destination()
        self._thread.start()
        return self

    def _write_destination(self) -> None:
        """Keep the destination on file; to another place than before, all events go again, refused ones too."""
        file = record_file(self._spool)
        before = Destination.read(file, self._destination.home)
        if before and before.place != self._destination.place:
            position_file(self._spool).unlink(missing_ok=True)
            refused_file(self._spool).unlink(missing_ok=True)
        self._destination.write(file)

    def close(self, timeout: float, remaining: Callable[[], float] = lambda: math.inf) -> bool:
        """Deliver the remaining events, for at most `timeout` seconds; return whether every event is delivered.

        While the server is away it is tried once more. `remaining` gives the seconds that the caller still has.
        """
        self._stop.set()
        end = time.monotonic() + timeout
        while self._thread.is_alive() and (wait := min(end - time.monotonic(), remaining())) > 0:
            self._thread.join(min(wait, 0.1))
        return self.delivered

    def _work(self) -> None:
        with self._lock:
            pause = _SHORTEST_PAUSE
            while True:
                stopping = self._stop.is_set()
                try:
                    self._deliver()
                    self.problem, wait, pause = None, _POLL_SECONDS, _SHORTEST_PAUSE
                except BaseException as error:  # noqa: BLE001 - whatever the server does, the search goes on
                    self.problem = without_password(first_line(error))
                    wait, pause = pause, min(2 * pause, _LONGEST_PAUSE)
                if stopping:
                    return
                self._stop.wait(wait)

    def _deliver(self) -> None:
        while self._block or self._read_block():
            if self._experiment is None:
                self._experiment = Experiment(self._destination, self._spool.parent)
            while self._block:
                # Cut off here, the next try goes on with this run.
                for event, reason in self._experiment.deliver(*self._block[0]):
                    self._refuse(reason, to_json(event))
                del self._block[0]
            self._end_block(self._experiment)

    def _read_block(self) -> bool:
        """Read the next events, grouped by run, descriptions last: they link to runs. Return whether there are any."""
        if not self._spool.exists():
            return False
        with self._spool.open("rb") as file:
            start = self._block_end = self.position
            file.seek(start)
            runs: dict[tuple[bool, str], list[Event]] = {}
            for line, event in itertools.islice(read_events(file), _BLOCK):
                self._block_end += len(line)
                if event is None:
                    self._refuse("is no event", line.decode(errors="replace"))
                else:
                    runs.setdefault((isinstance(event, Note), event.run), []).append(event)
            # Events that MLflow has must not be lost here: they would be written again, with another time.
            os.fsync(file.fileno())
        self._block = [(run, runs[last, run]) for last, run in sorted(runs, key=lambda place: place[0])]
        return self._block_end > start

    def _refuse(self, reason: str, event: object) -> None:
        self._refused.append(json.dumps({"reason": reason, "event": event}) + "\n")

    def _end_block(self, experiment: Experiment) -> None:
        """Keep on file that every event of the block is delivered or refused."""
        if self._on_runs and experiment.new_runs:
            self._on_runs(dict(experiment.new_runs))
        experiment.new_runs.clear()
        if self._refused:
            file = refused_file(self._spool)
            known = file.read_text() if file.exists() else ""
            # A block that is delivered again has its refused events again.
            new = [line for line in dict.fromkeys(self._refused) if line not in known]
            write_atomically(file, (known + "".join(new)).encode())
            self._refused.clear()
        write_atomically(position_file(self._spool), str(self._block_end).encode())


def _lock(spool: Path) -> BinaryIO:
    """Hold the right to deliver a spool until the file is closed, or the process ends."""
    path = spool.with_name(f"{spool.name}.lock")
    file = path.open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = LockOwner.from_json(path.read_text())
        file.close()
        if not isinstance(error, BlockingIOError):
            raise InputError(f"cannot lock {str(path)!r}: {error.strerror}; its file system must know locks") from None
        raise InputError(
            f"the record {str(spool)!r} is being delivered by {owner or 'another process'}; it delivers the rest too"
        ) from None
    file.truncate(0)
    file.write(LockOwner.this_process().to_json().encode())
    return file
