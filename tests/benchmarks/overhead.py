"""What the driver of a search spends on a trial, and the memory that a search takes, from trial 100 to trial 3,000.

Run by `python -m tests.benchmarks.overhead [TRIALS]`. The network has a handful of weights and a trial one candidate,
so that what is left is the search itself: proposing, Ray Tune, the ledger, the record and its delivery to SQLite.
Seconds of the processor, as the driver's main thread counts them: other work on the machine changes them little.
"""

import sys
import tempfile
import time
from pathlib import Path

import psutil
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home
from fullspectrum.search.study import run_study
from rich.console import Console
from rich.table import Table
from torch import nn

TRIALS = 3000
#: Trials over which a cost is the mean.
WINDOW = 100
MIB = 2**20


def tiny(channels: int, size: int, classes: int) -> nn.Module:
    """Two layers with next to no weights."""
    return nn.Sequential(nn.AvgPool2d(size // 2), nn.Flatten(), nn.Linear(4 * channels, 8), nn.Linear(8, classes))


def study(trials: int) -> Study:
    """A spectral-only study in which a trial is one candidate of `tiny`, next to no work."""
    return parse(
        {
            "model": "tests.benchmarks.overhead:tiny",
            "data": "digits",
            "sparsity": 0.5,
            "search": {"trials": trials, "sources": ["random"], "sampler": "random", "samples_per_trial": 1},
            "warmup": {"iterations": 0},
            "final": {"top_k": 0},
        }
    )


class Watch:
    """Takes the lines that a search prints of its trials, and notes at each one what was spent so far."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.driver: list[float] = []
        self.memory: dict[int, tuple[float, float]] = {}
        """MiB of the driver, and of a worker, by ended trials."""

    def write(self, text: str) -> None:
        """Takes what is printed, a line for each trial that ended."""
        if "] trial" not in text:
            return
        self.wall.append(time.perf_counter())
        self.driver.append(time.thread_time())
        if len(self.wall) % WINDOW == 0:
            driver = psutil.Process()
            workers = [one for one in driver.children(recursive=True) if "MaskTrial" in one.name()]
            resident = [one.memory_info().rss / MIB for one in [driver, *workers]]
            self.memory[len(self.wall)] = resident[0], sum(resident[1:]) / max(1, len(workers))

    def flush(self) -> None:
        """Part of what a console's file is."""

    def cost(self, trial: int) -> tuple[float, float]:
        """Milliseconds a trial, by the clock and of the driver's main thread, over the `WINDOW` that ends there."""
        first, last = trial - WINDOW, trial - 1
        return tuple((times[last] - times[first]) / (WINDOW - 1) * 1000 for times in (self.wall, self.driver))


def main() -> None:
    """Measures and prints the table."""
    trials = int(sys.argv[1]) if sys.argv[1:] else TRIALS
    watch = Watch()
    with tempfile.TemporaryDirectory() as home:
        run_study(study(trials), Home(Path(home)), Console(file=watch, width=200))
    table = Table(title="a search of trials that are next to no work", title_justify="left")
    for heading in ("trial", "ms a trial", "driver, ms of the processor", "driver, MiB", "a worker, MiB"):
        table.add_column(heading, justify="right")
    marks = [trial for trial in (200, 500, 1000, 2000, 3000) if trial <= trials]
    for trial in marks:
        wall, driver = watch.cost(trial)
        memory = watch.memory[trial]
        table.add_row(f"{trial:,}", f"{wall:.1f}", f"{driver:.1f}", f"{memory[0]:.0f}", f"{memory[1]:.0f}")
    Console().print(table)
    growth = watch.cost(marks[-1])[1] / watch.cost(marks[0])[1]
    Console().print(f"the driver's cost of a trial, the last row over the first: {growth:.2f} (limit: 1.5)")


if __name__ == "__main__":
    main()
