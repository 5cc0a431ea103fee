"""Where a record goes: a tracking server and an experiment there."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ..config.secrets import without_secret
from ..files import Home, write_json


@dataclass(frozen=True)
class Destination:
    """The server and the experiment that a spool is delivered to."""

    home: Home
    key: str
    """What the experiment is found by, also where it was renamed in MLflow: a study's id, or `checks`."""
    experiment: str
    """Name of an experiment that is made."""
    server: str | None = field(default=None, compare=False)
    """Its tracking URI; None for the store of `home`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of an experiment that is made."""
    shown: str | None = field(init=False)
    """The tracking URI without its password, which may stand in files."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", self.server and without_secret(self.server))

    @property
    def artifacts(self) -> str | None:
        """The URI of the artifacts of an experiment that is made; None leaves it to the server."""
        return None if self.server else (self.home.artifacts / self.key).as_uri()

    @property
    def place(self) -> tuple[str | None, str]:
        """Server and experiment: two destinations of the same place are the same."""
        return self.shown, self.key

    @classmethod
    def read(cls, path: Path, home: Home) -> Self | None:
        """Return the destination that `write` wrote to a file of `home`; None where it is not there, or not whole."""
        try:
            return cls(home, **json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the destination as JSON, for the file's owner alone.

        The home, which may be moved, and a password of the server are left out.
        """
        values = {name: value for name, value in vars(self).items() if name not in ("home", "shown")}
        write_json(path, values | {"server": self.shown})
        path.chmod(0o600)


def record_file(spool: Path) -> Path:
    """Return the path of the file that holds the destination of a spool."""
    return spool.with_name("record.json")


def recorded(home: Home) -> Iterator[tuple[Path, Destination]]:
    """Yield the spools of studies and of checks under `home` with their destinations."""
    for folder in ("", f"{home.checks.name}/"):
        for spool in home.found(f"{folder}*/spool.jsonl"):
            if destination := Destination.read(record_file(spool), home):
                yield spool, destination
