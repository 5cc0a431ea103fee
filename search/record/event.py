"""The events of a record, and their form in the spool: one JSON object a line."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ..files import plain


def _now() -> int:
    """Return the time, in milliseconds since the epoch."""
    return int(time.time() * 1000)


@dataclass(frozen=True)
class Start:
    """A run is opened, or opened again."""

    op: ClassVar[str] = "start"
    run: str
    """The run's key, which begins with the study's id."""
    name: str
    parent: str | None
    """The key of the parent run; None for a run without one."""
    params: Mapping[str, str]
    tags: Mapping[str, str]
    attempt: int | None = None
    """From 1; None for a run without attempts."""
    time: int = field(default_factory=_now)
    dataset: Mapping[str, str] | None = None
    """The data set that the run uses, as `runs.dataset_input` returns it; None where there is none."""


@dataclass(frozen=True)
class Metrics:
    """Metrics have these values at a step."""

    op: ClassVar[str] = "metrics"
    run: str
    metrics: Mapping[str, float]
    step: int
    time: int = field(default_factory=_now)


@dataclass(frozen=True)
class Tags:
    """Tags have these values from now on."""

    op: ClassVar[str] = "tags"
    run: str
    tags: Mapping[str, str]
    time: int = field(default_factory=_now)


@dataclass(frozen=True)
class Artifact:
    """A run has the file at a path from the spool's folder on."""

    op: ClassVar[str] = "artifact"
    run: str
    path: str
    time: int = field(default_factory=_now)
    folder: str = ""
    """The folder among the run's artifacts that it goes to; empty: none."""


@dataclass(frozen=True)
class Note:
    """A run, and the experiment with it, has this description from now on."""

    op: ClassVar[str] = "note"
    run: str
    text: str
    """Markdown, with the links of `addresses.linked`."""
    time: int = field(default_factory=_now)


@dataclass(frozen=True)
class End:
    """A run is closed with an MLflow status."""

    op: ClassVar[str] = "end"
    run: str
    status: str
    time: int = field(default_factory=_now)


Event = Start | Metrics | Tags | Artifact | Note | End

_KINDS: dict[str, type[Event]] = {kind.op: kind for kind in (Start, Metrics, Tags, Artifact, Note, End)}


#: Fields that the lines of an event lack where they have these values, as those of older spools do.
_LEFT_OUT = {"dataset": None, "folder": ""}


def to_json(event: Event) -> dict[str, object]:
    """Return the JSON object of an event; numbers that are not finite are None."""
    values = {name: value for name, value in vars(event).items() if name not in _LEFT_OUT or value != _LEFT_OUT[name]}
    document: dict[str, object] = plain({"op": event.op, **values})
    return document


def to_line(event: Event) -> bytes:
    """Return the line of an event, which `from_line` reads."""
    return json.dumps(to_json(event), allow_nan=False).encode() + b"\n"


def from_line(line: bytes) -> Event | None:
    """Return the event of a line; None where the line holds none."""
    try:
        values = json.loads(line)
        # Popped by name: an event whose time is lost must not get another one.
        return _KINDS[values.pop("op")](time=values.pop("time"), **values)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
