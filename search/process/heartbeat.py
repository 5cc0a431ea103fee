"""The board: what the driver of a search says of itself every few seconds, for `fullspectrum status`."""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from ..files import plain

#: Seconds between two writings.
EVERY = 2.0


class Board:
    """Writes the board while it is entered, in a thread of its own, and once more on leaving.

    `snapshot` gives `phase` ("trials", "full training" or "done"), `ended` (trials that ended since this driver
    started), `running` (of each trial that runs: trial, attempt, host, pid, iteration, since) and `spool` (depth,
    problem); time, host and process id are added. Nobody depends on the board: what fails in it is passed over.
    """

    def __init__(self, path: Path, snapshot: Callable[[], Mapping[str, Any]]):
        self._path = path
        self._snapshot = snapshot
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="board", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._left.set()
        self._thread.join(EVERY)

    def _keep(self) -> None:
        while not self._left.is_set():
            self._write()
            self._left.wait(EVERY)
        self._write()

    def _write(self) -> None:
        """Replaces the file as a whole; unlike what must last, it is not flushed to the disk."""
        try:
            said = {"time": time.time(), "host": socket.gethostname(), "pid": os.getpid(), **self._snapshot()}
            temporary = self._path.with_name(f".{self._path.name}.tmp")
            temporary.write_text(json.dumps(plain(said), allow_nan=False))
            os.replace(temporary, self._path)
        except Exception:  # noqa: BLE001 - a full disk, or a snapshot of what is changing meanwhile
            return


def read_board(path: Path) -> dict[str, Any] | None:
    """What the board at `path` says; None where there is none that can be read."""
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None
