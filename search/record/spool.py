"""The spool: what MLflow is to be told, appended to a file, so that nobody ever waits for the server."""

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..files import plain

#: Longest value of an MLflow tag or parameter that no store cuts.
_LONGEST = 5000


@dataclass(slots=True)
class _Told:
    """What the spool holds of one run, as far as it takes to tell nothing twice."""

    attempt: int = 0
    open: bool = True
    points: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The last step of each metric and its value; of an ended run with attempts, since its end."""
    tags: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    def take(self, event: Mapping[str, Any]) -> None:
        """Takes note of an event that is in the spool."""
        match event["op"]:
            case "start":
                if event.get("attempt") is None:
                    self.tags, self.files = {}, set()
                self.attempt, self.open = event.get("attempt") or 0, True
                self.tags.update(event["tags"])
            case "metrics":
                self.points.update({name: (event["step"], value) for name, value in event["metrics"].items()})
            case "tags":
                self.tags.update(event["tags"])
            case "artifact":
                self.files.add(event["path"])
            case "end":
                self.open = False
                # All that led to the end was told before it: thousands of ended runs take next to no memory.
                self.tags, self.files = {}, set()
                if self.attempt:
                    self.points = {}

    def knows(self, metric: str, step: int, value: float) -> bool:
        """Whether the value of a metric at a step was told: of a run with attempts, any value at that step or before.

        A run without attempts is told a step again where the value is another now.
        """
        last, told = self.points.get(metric, (-1, math.nan))
        return step <= last if self.attempt else (step, value) == (last, told)


class Spool:
    """An append-only file of events, one JSON line each, with the time of the event in milliseconds.

    It knows what it was told, also by a driver before this one, and tells nothing twice: whoever does not know how far
    the last driver came tells everything again, in the same order. Steps of a metric come in ascending order. An event
    outlives its process at once; the uploader flushes it to the disk before it delivers it. Where the disk is full,
    the methods raise OSError and the file is as before.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}
        self._file = path.open("a+b", buffering=0)
        self._size = self._take_up()

    def _take_up(self) -> int:
        """Reads what is there; a last line without its end is cut off: whoever wrote it died, or the disk was full."""
        size = 0
        with self.path.open("rb") as file:
            for line, event in read_lines(file):
                size += len(line)
                if event is not None:
                    self._run(event["run"]).take(event)
        self._file.truncate(size)
        return size

    def _run(self, run: str) -> _Told:
        return self._told.setdefault(run, _Told())

    def start(
        self,
        run: str,
        name: str,
        *,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        parent: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Opens the run known by the key `run` (again, if it exists).

        One with an `attempt` (1, 2, …) is opened once for each; one without is opened anew.
        """
        texts = {key: str(value)[:_LONGEST] for key, value in params.items()}
        with self._lock:
            if attempt is None or run not in self._told or attempt > self._told[run].attempt:
                self._append(
                    op="start", run=run, name=name, parent=parent, params=texts, tags=dict(tags), attempt=attempt
                )

    def metrics(self, run: str, metrics: Mapping[str, float], step: int) -> None:
        """Logs finite numbers at a step."""
        with self._lock:
            told = self._run(run)
            if new := {name: value for name, value in metrics.items() if not told.knows(name, step, value)}:
                self._append(op="metrics", run=run, metrics=new, step=step)

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        texts = {key: value[:_LONGEST] for key, value in tags.items()}
        with self._lock:
            told = self._run(run).tags
            if new := {key: text for key, text in texts.items() if told.get(key) != text}:
                self._append(op="tags", run=run, tags=new)

    def artifact(self, run: str, path: Path) -> None:
        """Logs the file at `path`, if there is one; it must stay there until it is delivered."""
        place = str(path.resolve())
        with self._lock:
            if place not in self._run(run).files and path.is_file():
                self._append(op="artifact", run=run, path=place)

    def end(self, run: str, status: str) -> None:
        """Closes the run with an MLflow status."""
        with self._lock:
            if self._run(run).open:
                self._append(op="end", run=run, status=status)

    def ended(self, run: str) -> bool:
        """Whether the run was closed, and not opened again."""
        return run in self._told and not self._told[run].open

    def tagged(self, tag: str, value: str) -> list[str]:
        """The runs that were given this value of a tag, since their end if they have ended."""
        return [run for run, told in self._told.items() if told.tags.get(tag) == value]

    def _append(self, **event: Any) -> None:
        line = json.dumps(plain(event) | {"time": int(time.time() * 1000)}, allow_nan=False).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self._run(event["run"]).take(event)

    def close(self) -> None:
        """Closes the file; events already appended stay."""
        self._file.close()


def read_lines(file: BinaryIO) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """The whole lines from where an open spool stands, each with its event; None for one that is no event."""
    # A line without its end is still being written.
    while (line := file.readline()).endswith(b"\n"):
        try:
            event = json.loads(line)
            yield line, event if isinstance(event, dict) and {"op", "run", "time"} <= event.keys() else None
        except ValueError:
            yield line, None


def position_file(spool: Path) -> Path:
    """Where it stands how much of a spool is delivered."""
    return spool.with_suffix(".delivered")


def position(spool: Path) -> int:
    """Bytes of a spool that are delivered."""
    file = position_file(spool)
    delivered = int(file.read_text()) if file.exists() else 0
    # A spool that is shorter than what was delivered of it is another one.
    return delivered if spool.exists() and delivered <= spool.stat().st_size else 0


def undelivered(spool: Path) -> int:
    """Events of a spool that are not delivered yet."""
    if not spool.exists():
        return 0
    with spool.open("rb") as file:
        file.seek(position(spool))
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
