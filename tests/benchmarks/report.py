"""How long the report of a large study takes, and how large it is.

    python -m tests.benchmarks.report [TRIALS]

Writes a made-up study of nine sources and sixty finalists (its journal by the store's own classes), runs
`fullspectrum report` on it in a process of its own, and prints seconds, bytes and the targets, which are for 1,000
trials on a machine that does nothing else. Exits with 1 where a target is missed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..search.synthetic import synthetic_study, written

FULLSPECTRUM = [sys.executable, "-c", "import sys; from fullspectrum.search.cli import main; sys.exit(main())"]

#: Seconds and bytes that a report of 1,000 trials takes at most.
SECONDS, BYTES = 20.0, 5_000_000

FINALISTS = 60


def main(trials: int = 1000) -> int:
    """Prints what the report takes; returns the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = written(folder / "runs", synthetic_study(trials, FINALISTS)).study
        begun = time.perf_counter()
        subprocess.run([*FULLSPECTRUM, "report", study.id, "-o", "report"], cwd=folder, check=True)
        seconds = time.perf_counter() - begun
        for file in sorted((folder / "report").iterdir()):
            print(f"{file.stat().st_size:12,} bytes  {file.name}")
        size = (folder / "report" / "report.html").stat().st_size
    print(f"{trials:,} trials: {seconds:.1f} s (target {SECONDS:g}), {size:,} bytes (target {BYTES:,})")
    return int(seconds > SECONDS or size > BYTES)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
