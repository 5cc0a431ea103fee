"""What is rendered: files by name."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rendered:
    """The files that a target takes, the one that starts all first. None holds a secret."""

    files: Mapping[str, str]
    """Text by file name."""

    def __str__(self) -> str:
        """Return all files as one text, each under a comment that names it."""
        if len(self.files) == 1:
            return next(iter(self.files.values()))
        return "\n".join(f"# --- {name}\n{text}" for name, text in self.files.items())
