"""Delivers a spool to MLflow in the background."""

import fcntl
import itertools
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from ...models.errors import InputError, first_line
from ...models.files import write_atomically
from ..store.owner import Holder
from .experiment import Destination, Experiment
from .spool import position, position_file, read_lines, undelivered

#: Events that are delivered together, and seconds between two looks for more: of a run that was started, measured and
#: ended within the same block, MLflow is told in a fraction of the requests.
_BLOCK, _EVERY = 1000, 5.0
#: Shortest and longest pause, in seconds, before another try.
_SHORTEST, _LONGEST = 2.0, 60.0


def record_file(spool: Path) -> Path:
    """Where it stands to which experiment a spool goes."""
    return spool.with_name("record.json")


def refused_file(spool: Path) -> Path:
    """The events that MLflow refused for good, one JSON line each with the reason."""
    return spool.with_suffix(".refused.jsonl")


class Uploader:
    """Delivers a spool to MLflow in a thread of its own, from where the last delivery ended.

    Delivering an event again changes nothing (see `Experiment`), so that it does not matter where a delivery was cut
    off. While the server is away it tries again, ever more slowly; what the server refuses for good is put aside. It is
    the only one that delivers this spool.
    """

    def __init__(
        self,
        spool: Path,
        destination: Destination,
        on_runs: Callable[[Mapping[str, str]], None] | None = None,
    ):
        """`on_runs` is told the MLflow id of each run by its key, when it is made or found, from the thread."""
        self._spool = spool
        self._destination = destination
        self._on_runs = on_runs
        self._experiment: Experiment | None = None
        self._block: list[tuple[str, list[dict[str, Any]]]] = []
        self._block_end = 0
        self._refused: list[dict[str, Any]] = []
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
        """Whether everything in the spool is delivered, or was refused."""
        return self.depth == 0

    @property
    def refused(self) -> int:
        """Events that MLflow has refused for good."""
        file = refused_file(self._spool)
        return len(file.read_bytes().splitlines()) if file.exists() else 0

    def start(self, wait: float = 0.0) -> Self:
        """Begins to deliver. Raises InputError where another process has the spool, still after `wait` seconds."""
        end = time.monotonic() + wait
        while True:
            try:
                self._lock = _lock(self._spool)
                break
            except InputError:
                if time.monotonic() >= end:
                    raise
            time.sleep(0.2)
        self._note_destination()
        self._thread.start()
        return self

    def _note_destination(self) -> None:
        """Keeps on file where the spool goes; to another place than before, all of it goes, what was refused too."""
        file = record_file(self._spool)
        before = Destination.read(file)
        if before and before.place != self._destination.place:
            position_file(self._spool).unlink(missing_ok=True)
            refused_file(self._spool).unlink(missing_ok=True)
        self._destination.write(file)

    def close(self, patience: float, left: Callable[[], float] = lambda: math.inf) -> bool:
        """Delivers what is left, for at most `patience` seconds; returns whether everything is delivered.

        While the server is away it is tried once more. `left` gives the seconds that whoever waits still has.
        """
        self._stop.set()
        end = time.monotonic() + patience
        while self._thread.is_alive() and (wait := min(end - time.monotonic(), left())) > 0:
            self._thread.join(min(wait, 0.1))
        return self.delivered

    def _work(self) -> None:
        with self._lock:
            pause = _SHORTEST
            while True:
                stopping = self._stop.is_set()
                try:
                    self._deliver()
                    self.problem, wait, pause = None, _EVERY, _SHORTEST
                except BaseException as error:  # noqa: BLE001 - whatever the server does, the search goes on
                    # A URL may hold a password.
                    self.problem = re.sub(r"://[^/\s]*@", "://…@", first_line(error))
                    wait, pause = pause, min(2 * pause, _LONGEST)
                if stopping:
                    return
                self._stop.wait(wait)

    def _deliver(self) -> None:
        while self._block or self._read_block():
            if self._experiment is None:
                self._experiment = Experiment(self._destination)
            while self._block:
                # Cut off here, the next try goes on with this run.
                for event, reason in self._experiment.take(*self._block[0]):
                    self._refused.append({"reason": reason, "event": event})
                del self._block[0]
            self._end_block()

    def _read_block(self) -> bool:
        """Reads the next events, grouped by run; returns whether there are any."""
        if not self._spool.exists():
            return False
        with self._spool.open("rb") as file:
            start = self._block_end = self.position
            file.seek(start)
            runs: dict[str, list[dict[str, Any]]] = {}
            for line, event in itertools.islice(read_lines(file), _BLOCK):
                self._block_end += len(line)
                if event is None:
                    self._refused.append({"reason": "is no event", "event": line.decode(errors="replace")})
                else:
                    runs.setdefault(event["run"], []).append(event)
            # What MLflow knows, the spool must not lose: it would be told again, at another time.
            os.fsync(file.fileno())
        self._block = list(runs.items())
        return self._block_end > start

    def _end_block(self) -> None:
        """Everything of the block is delivered or refused."""
        if self._on_runs and self._experiment.news:
            self._on_runs(dict(self._experiment.news))
        self._experiment.news.clear()
        if self._refused:
            file = refused_file(self._spool)
            known = file.read_text() if file.exists() else ""
            # Refused again where a block is delivered again.
            lines = dict.fromkeys(json.dumps(refused) + "\n" for refused in self._refused)
            write_atomically(file, (known + "".join(line for line in lines if line not in known)).encode())
            self._refused.clear()
        write_atomically(position_file(self._spool), str(self._block_end).encode())


def _lock(spool: Path) -> BinaryIO:
    """Holds the right to deliver a spool until the file is closed, or the process ends."""
    path = spool.with_name(f"{spool.name}.lock")
    file = path.open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = Holder.from_json(path.read_text())
        file.close()
        if not isinstance(error, BlockingIOError):
            raise InputError(f"cannot lock {str(path)!r}: {error.strerror}; its file system must know locks") from None
        raise InputError(
            f"the record {str(spool)!r} is being delivered by {holder or 'another process'}; it delivers the rest too"
        ) from None
    file.truncate(0)
    file.write(Holder.this_process().to_json().encode())
    return file
