"""Lines for the user on stderr."""

import contextlib
import sys


def warn(line: str) -> None:
    """Prints a warning in one line."""
    aside(f"fullspectrum: warning: {line}")


def complain(line: str) -> None:
    """Prints a user's mistake in one line."""
    aside(f"fullspectrum: {' '.join(line.split())}")


def aside(line: str) -> None:
    """Prints a line; where whoever read it is gone, to nobody."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr)
