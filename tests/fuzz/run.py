"""A command line run in this process, and what may be said of its end."""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from fullspectrum.clusters.errors import ClusterError
from fullspectrum.search import study
from fullspectrum.search.cli import main

#: Where the modules of strange networks and data sets lie.
MODULES = Path(__file__).parent

#: The line with which a search ends here that would start Ray.
RAY = "Ray would start now"

#: Variables of the environment that commands read; a run has those alone that its combination names.
VARIABLES = ("FULLSPECTRUM_HOME", "FULLSPECTRUM_DATA", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "COLUMNS")

#: A warning of Python: its line, and that of the code, which is indented; and one that a library logs.
_WARNING = re.compile(r"(\S.*:\d+: )?\w*Warning: |  |\d{4}/\d\d/\d\d [\d:]+ WARNING |libgomp: |$")


@dataclass(frozen=True)
class Ended:
    """The end of one command: its exit status, and what it printed."""

    arguments: tuple[str, ...]
    status: int | None
    stdout: str
    stderr: str

    @property
    def well(self) -> bool:
        """Whether it did what it was asked for, a search up to Ray's start."""
        return self.status == 0 or self.stderr.endswith(f"fullspectrum: {RAY}\n")

    @property
    def fault(self) -> str | None:
        """What is wrong with this end; None for one that is right."""
        said = [line for line in self.stderr.splitlines() if not _WARNING.match(line)]
        lines = [line for line in said if not line.startswith("fullspectrum: warning: ")]
        if "fullspectrum: unexpected " in self.stderr or "Traceback" in self.stderr + self.stdout:
            return "unexpected"
        if self.status == 0:
            # Libraries may say what they like, and a screen that is forced shows progress.
            return "ends with 0 and a complaint" if any(line.startswith("fullspectrum:") for line in lines) else None
        if self.status == 1 and self.arguments[0] in ("train", "sync"):
            # A training that diverges, and a record that could not be delivered.
            return None
        if self.status != 2:
            return f"ends with {self.status}"
        if len(lines) != 1 or not re.match(r"fullspectrum: \S", lines[0]):
            return f"{len(lines)} lines"
        return None


def run(arguments: Sequence[str], folder: Path, environment: Mapping[str, str], encoding: str = "utf-8") -> Ended:
    """Run a command in `folder`, with streams of that encoding; searches end where Ray would start."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    # Python's own stderr says everything, with backslashes.
    stderr = io.TextIOWrapper(io.BytesIO(), encoding, "backslashreplace")
    with _placed(folder, environment), contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status: int | None = main(list(arguments))
        except BaseException:  # noqa: BLE001 - whatever comes is judged
            status = None
            traceback.print_exc()
    texts = []
    for stream in (stdout, stderr):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(encoding, "replace"))
    return Ended(tuple(arguments), status, *texts)


@contextlib.contextmanager
def _placed(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Stand in `folder` and in `environment`, without Ray."""
    before = Path.cwd()
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    with (
        mock.patch.dict(os.environ, {**kept, **environment}, clear=True),
        mock.patch.object(sys, "path", [str(MODULES), *sys.path]),
        mock.patch.object(tempfile, "tempdir", None),
        mock.patch.object(study, "connect", side_effect=ClusterError(RAY)),
        warnings.catch_warnings(),
    ):
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def left_over(folder: Path) -> list[str]:
    """Return the files below `folder` that a write has left half way."""
    return [str(path) for path in folder.rglob("*") if path.name.startswith(".fullspectrum-") or path.suffix == ".tmp"]


def run_apart(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run a command in an interpreter of its own, and let it do whatever it does."""
    program = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    path = os.pathsep.join(filter(None, (str(MODULES), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": path, **environment},
        capture_output=True,
        check=False,
        timeout=300,
    )
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    stdout, stderr = (text.decode(encoding, "replace") for text in (done.stdout, done.stderr))
    return Ended(tuple(arguments), done.returncode, stdout, stderr)
