"""Programs on the search path that note how they were called, in the place of real ones."""

import json
import sys
from pathlib import Path

_PROGRAM = """#!{python}
import json, os, sys
arguments, stdin = sys.argv[1:], "" if sys.stdin.isatty() else sys.stdin.read()
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([arguments, stdin]) + "\\n")
{body}
"""


class FakeProgram:
    """A program `name` whose first file on the path is ours; `body` is what it does, in Python."""

    def __init__(self, folder: Path, name: str, body: str, monkeypatch):
        self._calls = folder / f"{name}.calls"
        file = folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(_PROGRAM.format(python=sys.executable, calls=str(self._calls), body=body))
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(file.parent), prepend=":")

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call."""
        return [arguments for arguments, _ in self._lines()]

    @property
    def texts(self) -> list[str]:
        """What each call got on stdin, where it got something."""
        return [stdin for _, stdin in self._lines() if stdin]

    def _lines(self) -> list:
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []
