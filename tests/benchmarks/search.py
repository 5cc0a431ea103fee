"""A spectral-only search on `digits_cnn` beside a bare loop over the same candidates; its disk; what asking takes.

Run by `python -m tests.benchmarks.search [TRIALS]`. The bare loop draws, guards and scores what the search would do, in
two processes, before and after it, and keeps nothing; the search has its record delivered to SQLite. Other work on the
machine counts in both.
"""

import concurrent.futures
import functools
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import optuna
import torch
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.guidance.proposer import Proposer
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.storage import open_storage
from fullspectrum.search.store.writer import take_over
from fullspectrum.search.study import run_study
from fullspectrum.search.worker.workbench import Workbench
from rich.console import Console
from rich.table import Table

TRIALS, CANDIDATES = 1000, 8
#: Trials of the bare loop; trials of the search before it is in its steady state.
BARE, STARTING = 150, 50
PROCESSES = 2
KIB = 2**10


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
    list(bench.candidates(proposal.distribution, proposal.seed))
    return time.process_time() - begun


def bare_loop(model: str, data: str) -> tuple[float, float]:
    """Candidates a second on two processes, of what the search would propose if it learned nothing; seconds to begin.

    The second is the time until the first trial has ended, as it is counted of the search.
    """
    settings, storage = study(model, data, BARE), optuna.storages.InMemoryStorage()
    proposer = Proposer(settings, take_over(Ledger(settings, storage)), list(_bench(model, data).setting.weights))
    proposals = list(iter(proposer.propose, None))
    trial = functools.partial(bare_trial, model, data)
    called = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        starting = pool.map(trial, proposals[:STARTING])
        next(starting)
        started = time.perf_counter() - called
        list(starting)
        begun = time.perf_counter()
        list(pool.map(trial, proposals))
        return CANDIDATES * BARE / (time.perf_counter() - begun), started


# The search


class Watch:
    """Takes the lines that a search prints of its trials, and notes when each came."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def write(self, text: str) -> None:
        """Takes what is printed, a line for each trial that ended."""
        if "] trial" in text:
            self.ended.append(time.perf_counter())

    def flush(self) -> None:
        """Part of what a console's file is."""


def disk(home: Path, folder: StudyFolder) -> dict[str, int]:
    """Bytes of what grows with the trials; a file that has two names counts under the first."""
    parts = {
        "journal": [folder.journal],
        "spool": [folder.spool],
        "mask, candidates, coordinate": sorted((folder.path / "trials").rglob("*")),
        "MLflow's artifacts": sorted((home / "artifacts").rglob("*")),
        "mlflow.db": [home / "mlflow.db"],
    }
    seen: set[int] = set()
    sizes = dict.fromkeys(parts, 0)
    for name, paths in parts.items():
        for file in (path.stat() for path in paths if path.is_file()):
            sizes[name] += 0 if file.st_ino in seen else file.st_size
            seen.add(file.st_ino)
    return sizes


def searched(trials: int, table: Table) -> None:
    """Searches between two bare loops, and adds the rows of both."""
    model, data, watch = "digits_cnn", "digits", Watch()
    before = bare_loop(model, data)
    with tempfile.TemporaryDirectory() as home:
        begun = time.perf_counter()
        result = run_study(study(model, data, trials), Home(Path(home)), Console(file=watch, width=200))
        over = time.perf_counter()
        sizes = disk(Path(home), result.folder)
    bare, bare_start = (sum(both) / 2 for both in zip(before, bare_loop(model, data), strict=True))
    bare_whole = CANDIDATES * trials / (bare_start + CANDIDATES * trials / bare)
    whole = CANDIDATES * trials / (over - begun)
    steady = CANDIDATES * (trials - STARTING) / (watch.ended[-1] - watch.ended[STARTING - 1])
    table.add_row("bare loop, two processes, at work / with their start", f"{bare:.1f} / {bare_whole:.1f} a second", "")
    table.add_row("search, at work / from its call to its return", f"{steady:.1f} / {whole:.1f} a second", "")
    table.add_row("search from call to return / bare loop at work", f"{whole / bare:.2f}", ">= 0.85")
    table.add_row("search / bare loop, both with their start and end", f"{whole / bare_whole:.2f}", "")
    table.add_row("search / bare loop, both at work", f"{steady / bare:.2f}", "")
    table.add_row("bare loop's start: until the first trial has ended", f"{bare_start:.1f} s", "")
    table.add_row("start: until the first trial has ended", f"{watch.ended[0] - begun:.1f} s", "")
    table.add_row("end: after the last trial, all delivered", f"{over - watch.ended[-1]:.1f} s", "")
    for name, size in sizes.items():
        table.add_row(f"disk a trial: {name}", f"{size / KIB / trials:.1f} KiB", "")


def asked(trials: int, table: Table) -> None:
    """Fills a ledger of as many trials of a network of 50 layers, and adds what one more proposal takes."""
    model, data = "resnet56", "digits"
    settings = study(model, data, trials + 2 * CANDIDATES)
    bench = _bench(model, data)
    with tempfile.TemporaryDirectory() as home:
        ledger = take_over(Ledger(settings, open_storage(settings.tracking.storage, StudyFolder(Path(home)).journal)))
        proposer = Proposer(settings, ledger, list(bench.setting.weights))
        for number in range(trials):
            proposal = proposer.propose()
            objective = 1 - sum(theta**2 for theta in proposal.distribution.theta.values())
            result = TrialResult({"spectral/objective": objective}, "digest")
            ledger.finish(number, 1, Outcome.FINISHED, result)
            proposer.learn(number, Outcome.FINISHED, result)
        begun = time.process_time()
        proposals = [proposer.propose() for _ in range(2 * CANDIDATES)]
        ask = (time.process_time() - begun) / len(proposals)
    own = sum(bare_trial(model, data, proposal) for proposal in proposals[:3]) / 3
    dimensions = len(proposals[0].distribution.theta)
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
