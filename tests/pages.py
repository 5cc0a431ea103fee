"""Pages of text, and the commands on them as a user gives them."""

import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and content of each block of a page."""
    return BLOCK.findall(page.read_text())


def environment() -> dict[str, str]:
    """Return the environment of a user who has put the programs of this Python on the path, and set no home folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if key != "FULLSPECTRUM_HOME"}
    return {**kept, "PATH": path, "COLUMNS": "100"}


def run(command: str, folder: Path) -> str:
    """Run a command line in `folder`, at most 10 minutes; return what it printed on stdout."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
