"""Seconds to the first trial: a plain search, a search launched from nothing, and one on a cluster that runs.

    python -m tests.benchmarks.launch

Goal: `launch` from nothing takes less than 30 s more than `search`.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Seconds that a launch from nothing may take beyond a plain search.
GOAL = 30.0

_MAIN = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"

#: One trial of one candidate, which is not trained.
_SMALL = (
    "search.trials=1",
    "pretraining.iterations=0",
    "search.samples_per_trial=1",
    "warmup.iterations=0",
    "final.top_k=0",
)


def seconds(folder: Path, seed: int, *command: str) -> float:
    """Return the seconds until a command has printed the end of its first trial; it is waited for."""
    options = [f"--set={setting}" for setting in (*_SMALL, f"seed={seed}")]
    environment = os.environ | {"HOME": str(folder), "PYTHONUNBUFFERED": "1"}
    began, first = time.monotonic(), None
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    line = [sys.executable, "-c", _MAIN, *command, *options]
    with subprocess.Popen(line, cwd=folder, env=environment, text=True, **pipes) as process:
        said = []
        for text in process.stdout:
            said.append(text)
            if "1/1] trial 0" in text and first is None:
                first = time.monotonic() - began
    if first is None:
        raise RuntimeError("".join(said))
    return first


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            found = {
                "search": seconds(folder, 0, "search", "digits"),
                "launch, from nothing": seconds(folder, 1, "launch", "local", "digits"),
                "launch, on a cluster that runs": seconds(folder, 2, "launch", "local", "digits"),
            }
        finally:
            down = [sys.executable, "-c", _MAIN, "clusters", "down", "local"]
            subprocess.run(down, cwd=folder, env=os.environ | {"HOME": str(folder)}, check=True, capture_output=True)
    print(f"{'':<32}{'to the first trial':>20}{'more than search':>20}")
    for what, took in found.items():
        print(f"{what:<32}{took:>18.1f} s{took - found['search']:>18.1f} s")
    more = found["launch, from nothing"] - found["search"]
    print(f"goal: less than {GOAL:g} s more from nothing: {'met' if more < GOAL else 'missed'}")


if __name__ == "__main__":
    main()
