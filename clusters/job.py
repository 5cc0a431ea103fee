"""A job, as every kind of cluster takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A command that a cluster runs to its end, on its head, and again after a failure: it goes on where it was."""

    name: str
    """By which it is submitted once, and found again: small letters, digits, hyphens."""
    command: Sequence[str]
    """The program and its arguments; no shell reads them."""
    studies: Sequence[str] = ()
    """The ids of what it searches, by which it is found too."""
    folder: Path | None = None
    """The folder that is shipped, and in which the command runs: the study file and the user's own modules."""
    wheel: Path | None = None
    """Our own package, with the hash of its content in its version; None where the nodes have it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables; no secrets."""
    grace_seconds: float = 30.0
    """Seconds between the request to leave and the end, in which running work is saved."""
