"""Programs that a target runs on this machine."""

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ClusterError


def program(name: str, needed_for: str) -> str:
    """Return the path of a program: that of the search path, or of this Python. Raise ClusterError without one."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise ClusterError(f"{name} is not on the PATH, which {needed_for} needs; install it")
    return found


def run(
    command: Sequence[str], stdin: str | None = None, environment: Mapping[str, str] | None = None, shown: bool = False
) -> str:
    """Run a program to its end and return what it printed; with `shown`, all that it prints goes to stderr instead.

    Raise ClusterError, with the last line that it printed, where it fails.
    """
    done = subprocess.run(
        command,
        # Nobody answers its questions.
        input=stdin or "",
        stdout=sys.stderr.fileno() if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.PIPE,
        text=True,
        env=os.environ | (environment or {}),
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in f"{done.stdout or ''}\n{done.stderr or ''}".splitlines() if line.strip()]
        reason = textwrap.shorten(said[-1], 400, placeholder=" …") if said else f"exit status {done.returncode}"
        raise ClusterError(f"`{Path(command[0]).name} {' '.join(command[1:3])}` fails: {reason}")
    return done.stdout or ""
