"""The owner of a lock on a study, as messages name it."""

import json
import os
import re
import shlex
import socket
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from textwrap import shorten

from ...models.errors import InputError


@dataclass(frozen=True)
class LockOwner:
    """The driver that holds a lock: a process of a machine."""

    host: str
    pid: int
    since: datetime
    """When the driver began, with its time zone."""
    command: str = ""
    """Its command line, where that is known."""

    @classmethod
    def this_process(cls) -> "LockOwner":
        """Return this process as an owner."""
        # A URL may hold a password.
        arguments = [re.sub(r"://.*", "://…", argument, flags=re.DOTALL) for argument in sys.argv]
        return cls(socket.gethostname(), os.getpid(), datetime.now(UTC), shlex.join(arguments))

    def to_dict(self) -> dict[str, str | int]:
        """Return plain values; the time in ISO 8601."""
        return asdict(self) | {"since": self.since.isoformat(timespec="seconds")}

    def to_json(self) -> str:
        """Return one line, which `from_json` reads."""
        return json.dumps(self.to_dict()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "LockOwner | None":
        """Return the owner of `to_json`; None where the line is not whole."""
        try:
            values = json.loads(text)
            return cls(**values | {"since": datetime.fromisoformat(values["since"]).astimezone(UTC)})
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def name(self) -> str:
        """The process, its machine and when it began, in UTC to the second."""
        return f"process {self.pid} on {self.host} since {self.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

    def __str__(self) -> str:
        command = f" ({shorten(self.command, 80, placeholder=' …')})" if self.command else ""
        return f"{self.name}{command}"

    def error(self, study_id: str) -> InputError:
        """Return the error for a second driver of the study."""
        there = "" if self.host == socket.gethostname() else f" on {self.host}"
        return InputError(
            f"study {study_id} is being searched by {self}; wait for it, or stop it with kill {self.pid}{there}"
        )
