"""The spool: the events for MLflow, appended to a file, so that nobody ever waits for the server."""

import math
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .event import Artifact, End, Event, Metrics, Note, Start, Tags, from_line, to_line

#: Longest value of an MLflow tag or parameter, in characters, that no store cuts.
LONGEST = 5000


@dataclass(slots=True)
class _SpooledRun:
    """What the spool holds of one run, as far as it takes to write no event twice."""

    attempt: int = 0
    open: bool = True
    points: dict[str, tuple[int, float]] = field(default_factory=dict)
    """The last step of each metric and its value; of an ended run with attempts, since its end."""
    tags: dict[str, str] = field(default_factory=dict)
    files: set[tuple[str, str]] = field(default_factory=set)
    """Paths of artifacts with the folders that they go to."""
    note: str = ""

    def apply(self, event: Event) -> None:
        """Add an event that is in the spool."""
        match event:
            case Start():
                self._start(event)
            case Metrics():
                self.points.update({name: (event.step, value) for name, value in event.metrics.items()})
            case Tags():
                self.tags.update(event.tags)
            case Artifact():
                self.files.add((event.path, event.folder))
            case Note():
                self.note = event.text
            case End():
                self._end()

    def _start(self, event: Start) -> None:
        if event.attempt is None:
            self.tags, self.files, self.note = {}, set(), ""
        self.attempt, self.open = event.attempt or 0, True
        self.tags.update(event.tags)

    def _end(self) -> None:
        self.open = False
        # Events before the end are not written again after it: thousands of ended runs take next to no memory.
        self.tags, self.files, self.note = {}, set(), ""
        if self.attempt:
            self.points = {}

    def has_point(self, metric: str, step: int, value: float) -> bool:
        """Return whether the spool has the metric at this step.

        Of a run with attempts, any value at this step or a later one counts. A run without attempts may get a step
        again, with another value.
        """
        last_step, last_value = self.points.get(metric, (-1, math.nan))
        return step <= last_step if self.attempt else (step, value) == (last_step, last_value)


class Spool:
    """An append-only file of events, each with its time.

    The spool writes no event twice, also where a driver before this one wrote it: a driver that cannot know how far the
    last one came calls all methods again, in the same order. Steps of a metric come in ascending order. An event is in
    the file at once, and outlives its process; the uploader flushes it to the disk before it delivers it. Where the
    disk is full, the methods raise OSError and the file is as before.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._runs: dict[str, _SpooledRun] = {}
        self._file = path.open("a+b", buffering=0)
        self._size = self._replay()

    def _replay(self) -> int:
        """Apply the events that are there, and cut off a last line without its end; return the bytes that are left.

        Whoever wrote such a line died, or the disk was full.
        """
        size = 0
        with self.path.open("rb") as file:
            for line, event in read_events(file):
                size += len(line)
                if event is not None:
                    self._run(event.run).apply(event)
        self._file.truncate(size)
        return size

    def _run(self, run: str) -> _SpooledRun:
        return self._runs.setdefault(run, _SpooledRun())

    def start(
        self,
        run: str,
        name: str,
        *,
        params: Mapping[str, object],
        tags: Mapping[str, str],
        parent: str | None = None,
        attempt: int | None = None,
        dataset: Mapping[str, str] | None = None,
    ) -> None:
        """Open the run of the key `run` (again, if it exists), with the data set that it uses.

        A run with an `attempt` (1, 2, …) is opened once for each attempt; a run without one is opened by every call.
        """
        texts = {key: str(value)[:LONGEST] for key, value in params.items()}
        with self._lock:
            if attempt is None or run not in self._runs or attempt > self._runs[run].attempt:
                self._append(Start(run, name, parent, texts, dict(tags), attempt, dataset=dataset))

    def metrics(self, run: str, metrics: Mapping[str, float], step: int) -> None:
        """Log finite numbers at a step."""
        with self._lock:
            held = self._run(run)
            if new := {name: value for name, value in metrics.items() if not held.has_point(name, step, value)}:
                self._append(Metrics(run, new, step))

    def tags(self, run: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        texts = {key: value[:LONGEST] for key, value in tags.items()}
        with self._lock:
            held = self._run(run).tags
            if new := {key: text for key, text in texts.items() if held.get(key) != text}:
                self._append(Tags(run, new))

    def artifact(self, run: str, path: Path, folder: str = "") -> None:
        """Log the file at `path`, if there is one, in a folder of the run's; it must stay there until it is delivered.

        In the folder it takes the place of one of the same name.
        """
        # From the spool's folder on, which may be moved before this is delivered.
        place = os.path.relpath(path.resolve(), self.path.parent.resolve())
        with self._lock:
            if (place, folder) not in self._run(run).files and path.is_file():
                self._append(Artifact(run, place, folder=folder))

    def note(self, run: str, text: str) -> None:
        """Describe the run, and its experiment, by Markdown of at most 5,000 characters."""
        with self._lock:
            if self._run(run).note != text[:LONGEST]:
                self._append(Note(run, text[:LONGEST]))

    def end(self, run: str, status: str) -> None:
        """Close the run with an MLflow status."""
        with self._lock:
            if self._run(run).open:
                self._append(End(run, status))

    def ended(self, run: str) -> bool:
        """Return whether the run was closed, and not opened again."""
        return run in self._runs and not self._runs[run].open

    def tagged(self, tag: str, value: str) -> list[str]:
        """Return the runs whose tag has this value, set after their end if they have ended."""
        return [run for run, held in self._runs.items() if held.tags.get(tag) == value]

    def having(self, tag: str) -> list[str]:
        """Return the runs that have the tag with some value, set after their end if they have ended."""
        return [run for run, held in self._runs.items() if held.tags.get(tag)]

    def _append(self, event: Event) -> None:
        line = to_line(event)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self._run(event.run).apply(event)

    def close(self) -> None:
        """Close the file; the events in it stay."""
        self._file.close()


def read_events(file: BinaryIO) -> Iterator[tuple[bytes, Event | None]]:
    """Yield each whole line from the file's position on, with its event; None for a line that holds none."""
    # A line without its end is still being written.
    while (line := file.readline()).endswith(b"\n"):
        yield line, from_line(line)


def position_file(spool: Path) -> Path:
    """Return the path of the file that holds how many bytes of a spool are delivered."""
    return spool.with_suffix(".delivered")


def position(spool: Path) -> int:
    """Return how many bytes of a spool are delivered."""
    file = position_file(spool)
    delivered = int(file.read_text()) if file.exists() else 0
    # A spool that is shorter than what was delivered of it is another one.
    return delivered if spool.exists() and delivered <= spool.stat().st_size else 0


def undelivered(spool: Path) -> int:
    """Return how many events of a spool are not delivered yet."""
    if not spool.exists():
        return 0
    with spool.open("rb") as file:
        file.seek(position(spool))
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
