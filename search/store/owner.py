"""The driver that holds a study, as others are told of it."""

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
class Holder:
    """A driver: a process of a machine."""

    host: str
    pid: int
    since: str
    """When it began, UTC."""
    command: str = ""
    """Its command line, where that is known."""

    @classmethod
    def this_process(cls) -> "Holder":
        """The driver that this process is."""
        # A URL may hold a password.
        arguments = [re.sub(r"://.*", "://…", argument, flags=re.DOTALL) for argument in sys.argv]
        return cls(socket.gethostname(), os.getpid(), moment(datetime.now(UTC)), shlex.join(arguments))

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Holder | None":
        """The holder of `to_json`; None where its writer did not come to the end."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        command = f" ({shorten(self.command, 80, placeholder=' …')})" if self.command else ""
        return f"process {self.pid} on {self.host} since {self.since}{command}"

    def refusal(self, study_id: str) -> InputError:
        """What a second driver is told."""
        there = "" if self.host == socket.gethostname() else f" on {self.host}"
        return InputError(
            f"study {study_id} is being searched by {self}; wait for it, or stop it with kill {self.pid}{there}"
        )


def moment(time: datetime) -> str:
    """A time as it stands in messages, in UTC to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
