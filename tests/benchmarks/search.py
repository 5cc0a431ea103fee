"""A spectral-only search on `digits_cnn` beside a bare loop over the same candidates; its disk; what asking takes.

Run by `python -m tests.benchmarks.search [TRIALS]`. The bare loop draws, guards and scores what the search did, in two
processes, and keeps nothing of it; the search has its record delivered to SQLite. The ratio by the clock is that of
this run: other work on the machine counts. That of the processor's seconds hardly changes with it.
"""

import concurrent.futures
import functools
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.search.candidates import Workbench
from fullspectrum.search.config import Study
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.ledger import Ledger
from fullspectrum.search.outcome import Outcome
from fullspectrum.search.space import MaskDistribution
from fullspectrum.search.storage import open_storage
from fullspectrum.search.study import StudyResult, run_study
from fullspectrum.search.studyfile import parse
from rich.console import Console
from rich.table import Table

TRIALS, CANDIDATES = 1000, 8
#: Every how many trials the bare loop takes one, so that it is over before the machine has changed.
EVERY = 5
#: Trials and processes before the steady state.
STARTING, PROCESSES = 50, 2
MIB, KIB = 2**20, 2**10

Proposal = tuple[MaskDistribution, int]


def study(model: str, data: str, trials: int) -> Study:
    """A spectral-only study, all else as it is by default."""
    return parse(
        {
            "model": model,
            "data": data,
            "sparsity": 0.98,
            "search": {"trials": trials, "samples_per_trial": CANDIDATES},
            "warmup": {"iterations": 0},
            "final": {"top_k": 0},
        }
    )


# The bare loop


@functools.cache
def _bench(model: str, data: str) -> Workbench:
    """What a process keeps between trials."""
    torch.set_num_threads(1)
    loaded = load(data)
    return Workbench(study(model, data, 1), build(model, loaded.task, 0), loaded)


def bare_trial(model: str, data: str, proposal: Proposal) -> float:
    """The seconds of the processor that the candidates of one trial take."""
    bench = _bench(model, data)
    begun = time.process_time()
    list(bench.candidates(*proposal))
    return time.process_time() - begun


def bare_loop(model: str, data: str, proposals: list[Proposal]) -> tuple[float, float]:
    """Candidates a second on two processes, and seconds of the processor for each."""
    trial = functools.partial(bare_trial, model, data)
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(trial, proposals[:STARTING]))
        begun = time.perf_counter()
        seconds = sum(pool.map(trial, proposals))
        candidates = CANDIDATES * len(proposals)
        return candidates / (time.perf_counter() - begun), seconds / candidates


# The search


class Watch:
    """Takes the lines that a search prints of its trials, and notes what was spent when the steady state began and ended.

    Times are by the clock and of the processor, in seconds.
    """

    def __init__(self, trials: int) -> None:
        self.spent: dict[int, tuple[float, float]] = {}
        self._ended, self._marks = 0, (STARTING, trials)

    def write(self, text: str) -> None:
        """Takes what is printed, a line for each trial that ended."""
        self._ended += "] trial" in text
        if self._ended in self._marks and self._ended not in self.spent:
            self.spent[self._ended] = time.perf_counter(), _spent()

    def flush(self) -> None:
        """Part of what a console's file is."""


def _spent() -> float:
    """Seconds of the processor of this process, and of all that it has started and that still run."""
    driver = psutil.Process()
    times = [one.cpu_times() for one in [driver, *driver.children(recursive=True)]]
    return sum(one.user + one.system for one in times)


def disk(home: Path, result: StudyResult) -> dict[str, float]:
    """KiB that a trial takes, by what takes them."""
    folder = result.folder

    def size(path: Path) -> int:
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file()) if path.is_dir() else _size(path)

    taken = {
        "the journal": size(folder.journal),
        "the spool": size(folder.spool),
        "files: mask, candidates, coordinate": size(folder.path / "trials"),
        "MLflow's artifacts": size(home / "artifacts"),
        "mlflow.db": size(home / "mlflow.db"),
    }
    return {name: size / KIB / len(result.trials) for name, size in taken.items()}


def _size(path: Path) -> int:
    return path.stat().st_size


def searched(trials: int, table: Table) -> None:
    """Searches, repeats what it did in the bare loop, and adds the rows of both."""
    model, data, watch = "digits_cnn", "digits", Watch(trials)
    with tempfile.TemporaryDirectory() as home:
        begun = time.perf_counter()
        result = run_study(study(model, data, trials), Home(Path(home)), Console(file=watch, width=200))
        whole = time.perf_counter() - begun
        proposals = [(trial.distribution, trial.seed) for trial in result.trials]
        takes = disk(Path(home), result)
    bare, bare_seconds = bare_loop(model, data, proposals[::EVERY])
    (begun_steady, spent_before), (last, spent) = watch.spent[STARTING], watch.spent[trials]
    counted = CANDIDATES * (trials - STARTING)
    steady, seconds = counted / (last - begun_steady), (spent - spent_before) / counted
    table.add_row("bare loop, two processes", f"{bare:.1f} candidates/s", "")
    table.add_row("search, all of it", f"{CANDIDATES * trials / whole:.1f} candidates/s", "")
    table.add_row("search, without its start and its end", f"{steady:.1f} candidates/s", "")
    table.add_row("all of the search / bare loop", f"{CANDIDATES * trials / whole / bare:.2f}", ">= 0.85")
    table.add_row("search without start and end / bare loop", f"{steady / bare:.2f}", ">= 0.85")
    table.add_row("processor: bare loop / search", f"{bare_seconds / seconds:.2f}", ">= 0.85")
    table.add_row("from the last trial to the last of the record", f"{begun + whole - last:.1f} s", "")
    for name, size in takes.items():
        table.add_row(f"disk for a trial: {name}", f"{size:.1f} KiB", "")


def asked(trials: int, table: Table) -> None:
    """Fills a ledger of as many trials of a network of 50 layers, and adds what one more proposal takes."""
    model, data = "resnet56", "digits"
    settings = study(model, data, trials + 2 * CANDIDATES)
    bench = _bench(model, data)
    with tempfile.TemporaryDirectory() as home:
        ledger = Ledger(settings, open_storage(settings, StudyFolder(Path(home)).journal))
        ledger.take_over(list(bench.setting.weights))
        for number in range(trials):
            proposal = ledger.propose()
            objective = 1 - sum(theta**2 for theta in proposal["distribution"]["theta"].values())
            ledger.finish(number, 1, Outcome.FINISHED, {"spectral/objective": objective, "training/iterations": 0})
        begun = time.process_time()
        proposals = [ledger.propose() for _ in range(2 * CANDIDATES)]
        ask = (time.process_time() - begun) / len(proposals)
    distributions = [(MaskDistribution.from_dict(one["distribution"]), one["seed"]) for one in proposals]
    own = sum(bare_trial(model, data, proposal) for proposal in distributions[:3]) / 3
    dimensions = len(proposals[0]["distribution"]["theta"])
    table.add_row(f"a proposal after {trials:,} trials, {dimensions} dimensions", f"{1000 * ask:.1f} ms", "")
    table.add_row(f"the candidates of a trial of {model}", f"{1000 * own:,.0f} ms", "")
    table.add_row("proposal / candidates", f"{ask / own:.3f}", "<= 0.05")


def main() -> None:
    """Measures and prints the table."""
    trials = int(sys.argv[1]) if sys.argv[1:] else TRIALS
    table = Table(title=f"a search of {trials:,} trials of {CANDIDATES} candidates, digits_cnn", title_justify="left")
    for heading in ("what", "measured", "target"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    searched(trials, table)
    asked(trials, table)
    Console().print(table)


if __name__ == "__main__":
    main()
