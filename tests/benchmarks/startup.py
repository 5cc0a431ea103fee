"""How long a command takes to answer: a mistake at once, and what needs torch alone hardly longer than its import.

    python -m tests.benchmarks.startup [RUNS]

Prints the least of several runs of each command line, in turn, so that a busy machine meets all of them alike; its
ratio to an import of torch in the same runs; and the target. Exits with 1 where a target is missed.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = [sys.executable, "-c"]
FULLSPECTRUM = [*PYTHON, "import sys; from fullspectrum.search.cli import main; sys.exit(main())"]
MASK = "mask.safetensors"

#: Seconds in which a mistake is reported, and what needs nothing slow answers.
AT_ONCE = 1.5
#: Most that a command which needs torch alone takes, in imports of torch.
WITH_TORCH = 1.25


@dataclass(frozen=True)
class Case:
    """One command line, with the exit status that it has and whether it needs torch."""

    arguments: tuple[str, ...]
    status: int = 2
    torch: bool = False


CASES = [
    Case(("--help",), 0),
    Case(("--version",), 0),
    Case(("search", "--list-settings"), 0),
    Case(("search", "digits", "--set", "sparsity=1.0")),
    Case(("search", "digits", "--set", "search.sources=['snipp']")),
    Case(("search", "digits", "--set", "model=nosuch")),
    Case(("search", "nosuch")),
    Case(("status", "nosuch")),
    Case(("export", "best:digits", "--format", "nosuch", "-o", "best")),
    Case(("score", "nosuch")),
    Case(("train", "nosuch", "--model", "digits_cnn", "--data", "digits")),
    Case(("layers", "--model", "nosuch")),
    Case(("layers", "--model", "resnet20"), 0, torch=True),
    Case(("score", MASK, "--chance", "0"), 0, torch=True),
]


def seconds(command: Sequence[str], folder: Path, status: int = 0) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != status:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - begun


def main(runs: int = 5) -> int:
    """Prints the table; returns the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = ["sample", "--model", "lenet-300-100", "--data", "digits", "--source", "random", "--sparsity", "0.9"]
        seconds([*FULLSPECTRUM, *sample, "-o", MASK], folder)
        commands = {case: [*FULLSPECTRUM, *case.arguments] for case in CASES}
        torch, bare = [*PYTHON, "import torch"], [*PYTHON, "pass"]
        rounds = [
            (
                seconds(torch, folder),
                seconds(bare, folder),
                {c: seconds(line, folder, c.status) for c, line in commands.items()},
            )
            for _ in range(runs)
        ]
    torch_takes, bare_takes = (min(each[index] for each in rounds) for index in (0, 1))
    print(f"import torch {torch_takes:.2f} s, bare Python {bare_takes:.3f} s; least of {runs} runs")
    missed = 0
    for case in CASES:
        took = min(each[2][case] for each in rounds)
        met = took <= (WITH_TORCH * torch_takes if case.torch else AT_ONCE)
        target = f"{WITH_TORCH} x import of torch" if case.torch else f"{AT_ONCE} s"
        ratio, verdict = took / torch_takes, "met" if met else "MISSED"
        print(f"{took:6.2f} s  {ratio:5.2f} x  {verdict:6}  {target:22}  {' '.join(case.arguments)}")
        missed += not met
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
