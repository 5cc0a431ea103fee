"""Lines for the user on stderr, and stdout where its reader is gone."""

import contextlib
import os
import sys


def warn(line: str) -> None:
    """Print a warning in one line."""
    aside(f"fullspectrum: warning: {line}")


def complain(line: str) -> None:
    """Print a user's mistake in one line."""
    aside(f"fullspectrum: {' '.join(line.split())}")


def aside(line: str) -> None:
    """Print a line; where its reader is gone, nowhere."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr)


def silence_stdout() -> None:
    """Send whatever is still written to stdout, by whomever, nowhere: its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
