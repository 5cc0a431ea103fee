"""How long a command takes to answer: a mistake at once, and what needs torch alone hardly longer than its import.

So does a trainer that imports the masks.

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
#: Seconds that a trainer waits for masks beside torch.
FOR_MASKS = 0.2


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


def _met(took: float, torch: float, most: float, target: str, what: str) -> bool:
    """Prints a line of the table; returns whether the target is met."""
    verdict = "met" if took <= most else "MISSED"
    print(f"{took:6.2f} s  {took / torch:5.2f} x  {verdict:6}  {target:22}  {what}")
    return took <= most


def main(runs: int = 5) -> int:
    """Prints the table; returns the exit status."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sample = ["sample", "--model", "lenet-300-100", "--data", "digits", "--source", "random", "--sparsity", "0.9"]
        seconds([*FULLSPECTRUM, *sample, "-o", MASK], folder)
        commands = {case: [*FULLSPECTRUM, *case.arguments] for case in CASES}
        torch, bare = [*PYTHON, "import torch"], [*PYTHON, "pass"]
        masks = [*PYTHON, "import torch, fullspectrum.models.masks"]
        rounds = [
            (
                seconds(torch, folder),
                seconds(bare, folder),
                seconds(masks, folder),
                {c: seconds(line, folder, c.status) for c, line in commands.items()},
            )
            for _ in range(runs)
        ]
    torch_takes, bare_takes, masks_take = (min(each[index] for each in rounds) for index in range(3))
    print(f"import torch {torch_takes:.2f} s, bare Python {bare_takes:.3f} s; least of {runs} runs")
    missed = not _met(masks_take, torch_takes, torch_takes + FOR_MASKS, f"{FOR_MASKS} s beside torch", "import masks")
    for case in CASES:
        took = min(each[3][case] for each in rounds)
        most = WITH_TORCH * torch_takes if case.torch else AT_ONCE
        target = f"{WITH_TORCH} x import of torch" if case.torch else f"{AT_ONCE} s"
        missed += not _met(took, torch_takes, most, target, " ".join(case.arguments))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
