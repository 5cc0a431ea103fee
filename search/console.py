"""Lines for the user on stderr."""

import sys


def warn(line: str) -> None:
    """Prints a warning in one line."""
    print(f"fullspectrum: warning: {line}", file=sys.stderr)


def complain(line: str) -> None:
    """Prints a user's mistake in one line."""
    print(f"fullspectrum: {' '.join(line.split())}", file=sys.stderr)
