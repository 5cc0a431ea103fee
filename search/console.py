"""Lines for the user on stderr, and stdout where it cannot say all, or its reader is gone."""

import contextlib
import io
import os
import sys


def warn(line: str) -> None:
    """Print a warning in one line."""
    aside(f"fullspectrum: warning: {line}")


def complain(line: str) -> None:
    """Print a user's mistake in one line."""
    aside(f"fullspectrum: {' '.join(line.split())}")


def aside(line: str) -> None:
    """Print a line; where its reader is gone, or stderr is closed, nowhere."""
    if sys.stderr is None:
        # Python would print it on stdout, in the middle of what is to be read there.
        return
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr)


def lose_nothing() -> None:
    """Let stdout print "?" for what its encoding does not have, and ignore a screen of 0 columns, whoever prints."""
    if os.environ.get("COLUMNS") == "0":
        # Its width is not known; rich would print no table at all.
        del os.environ["COLUMNS"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def silence_stdout() -> None:
    """Send whatever is still written to stdout, by whomever, nowhere: its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
