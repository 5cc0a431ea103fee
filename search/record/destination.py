"""Where a record goes: a tracking server and an experiment there."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ..files import Home, write_json


@dataclass(frozen=True)
class Destination:
    """The server and the experiment that a spool is delivered to."""

    tracking_uri: str
    experiment: str
    """Its name; it is made where it is not there yet."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of an experiment that is made."""
    artifacts: str | None = None
    """URI of the artifacts of an experiment that is made; None leaves it to the server."""

    @classmethod
    def of(cls, home: Home, tracking_uri: str | None, experiment: str, tags: Mapping[str, str], artifacts: str) -> Self:
        """Return an experiment at `tracking_uri`; without one in the store of `home`, with `artifacts` as its folder.

        The folder lies in that of the home's artifacts.
        """
        if tracking_uri:
            return cls(tracking_uri, experiment, tags)
        return cls(home.tracking_uri, experiment, tags, (home.artifacts / artifacts).resolve().as_uri())

    @property
    def place(self) -> tuple[str, str]:
        """Server and experiment: two destinations of the same place are the same."""
        return self.tracking_uri, self.experiment

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the destination that `write` wrote to a file; None where the file is not there, or not whole."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the destination as JSON, for the file's owner alone."""
        write_json(path, asdict(self))
        # A URL may hold a password.
        path.chmod(0o600)
