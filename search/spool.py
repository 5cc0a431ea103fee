"""The spool: what MLflow is to be told, appended to a file, so that nobody ever waits for the server."""

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .files import plain

#: Longest value of an MLflow tag or parameter that no store cuts.
_LONGEST = 5000


class Spool:
    """An append-only file of events, one JSON line each, with the time of the event in milliseconds."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_torn_line(path)
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def start(
        self, run: str, name: str, *, params: Mapping[str, Any], tags: Mapping[str, str], parent: str | None = None
    ) -> None:
        """Opens the run known by the key `run` (again, if it exists)."""
        texts = {key: str(value)[:_LONGEST] for key, value in params.items()}
        self._append(op="start", run=run, name=name, parent=parent, params=texts, tags=dict(tags))

    def metrics(self, run: str, metrics: Mapping[str, float], step: int) -> None:
        """Logs finite numbers at a step."""
        if metrics:
            self._append(op="metrics", run=run, metrics=dict(metrics), step=step)

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        if tags:
            self._append(op="tags", run=run, tags={key: value[:_LONGEST] for key, value in tags.items()})

    def artifact(self, run: str, path: Path) -> None:
        """Logs the file at `path`, which must stay there until it is delivered."""
        self._append(op="artifact", run=run, path=str(path.resolve()))

    def end(self, run: str, status: str) -> None:
        """Closes the run with an MLflow status."""
        self._append(op="end", run=run, status=status)

    def _append(self, **event: Any) -> None:
        line = json.dumps(plain(event) | {"time": int(time.time() * 1000)}, allow_nan=False)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; events already appended stay."""
        self._file.close()


def _drop_torn_line(path: Path) -> None:
    """Cuts off a last line without its end: whoever wrote it died, and the next event would be spoilt by it."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
