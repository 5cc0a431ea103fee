"""A plan beside the search that it is of, and for how long a GPU is held where scoring takes place apart.

Run by `python -m tests.benchmarks.capacity`. The plan is of a small study on this machine as a cluster of one node, by
three trials that are measured here, and again by the trials of the search itself. The GPU is a declared one: a node of
a second Ray on this machine, whose workers' time is counted from their start to their last report.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import psutil
from fullspectrum.clusters.spec.cluster import Cluster
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.driver.dispatch import Dispatcher
from fullspectrum.search.files import Home
from fullspectrum.search.plan.estimate import estimate
from fullspectrum.search.plan.measuring import measured
from fullspectrum.search.plan.simulation import Overheads
from fullspectrum.search.plan.times import Times
from fullspectrum.search.plan.workload import proposals_of, workload_of
from fullspectrum.search.study import run_study
from fullspectrum.search.worker.preparation import prepare
from ray import cluster_utils
from rich.console import Console
from rich.table import Table

#: What the command takes for a worker and for the driver.
OVERHEADS = Overheads(boot=0.0, start=8.0, driver=20.0)
#: A plan is good where the search takes between a part of it and a multiple of it.
FACTOR = 2.0


def study(*overrides: str) -> Study:
    """A study of a minute or two on two cores, most of whose time goes into trials."""
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.95,
        "search": {"trials": 24, "samples_per_trial": 8, "sampler": "random", "max_concurrent": 2},
        "warmup": {"iterations": 100, "report_every": 25},
        "final": {"top_k": 1, "epochs": 5},
    }
    return parse(with_overrides(settings, overrides))


def planned(table: Table, home: Home) -> bool:
    """Plans and searches; returns whether both plans come near the search."""
    found = study()
    here = Cluster.model_validate({"kind": "local", "name": "here", "head": {"cpus": 2}})
    bench = prepare(found)
    proposals = proposals_of(bench)
    work = workload_of(bench, proposals)
    before = estimate(here, work, measured(bench, proposals, 3), OVERHEADS, {}).seconds
    begun = time.perf_counter()
    result = run_study(found, home, Console(file=io.StringIO()))
    took = time.perf_counter() - begun
    after = estimate(here, work, Times.of_study(found, result.folder, result.trials), OVERHEADS, {}).seconds
    table.add_row("the search", f"{took:.0f} s", "")
    for name, seconds in (("the plan by 3 measured trials", before), ("the plan by the trials of the search", after)):
        table.add_row(name, f"{seconds:.0f} s", f"{seconds / took:.2f} of the search")
    return all(1 / FACTOR <= seconds / took <= FACTOR for seconds in (before, after))


def held(table: Table, home: Home) -> None:
    """Searches a study on a node with cores and one with a GPU, without scoring apart and with it."""
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    gpu = cluster.add_node(num_cpus=1, num_gpus=1, resources={"accelerator_type:T4": 1})
    cluster.wait_for_nodes()
    raylet = gpu.all_processes["raylet"][0].process.pid
    take, seen = Dispatcher.report, {}

    def report(self: Dispatcher, number: int, attempt: int, reports: list, worker: object, iteration: int = 0) -> bool:
        process = psutil.Process(worker.pid)
        if raylet in {above.pid for above in process.parents()}:
            seen[worker.pid] = time.time() - process.create_time()
        return take(self, number, attempt, reports, worker, iteration)

    Dispatcher.report = report
    settings = "resources.accelerator='T4'", "final.top_k=0", "search.samples_per_trial=64"
    for name, setting in (("whole trials", []), ("scored apart", ["resources.scoring_cpus=1"])):
        seen.clear()
        begun = time.perf_counter()
        run_study(study(*settings, *setting), Home(home.path / name), Console(file=io.StringIO()), cluster.address)
        note = f"in a search of {time.perf_counter() - begun:.0f} s"
        table.add_row(f"GPU held, {name}", f"{sum(seen.values()):.0f} s", note)
    Dispatcher.report = take
    cluster.shutdown()


def main() -> int:
    """Measures and prints the table; returns the exit status."""
    table = Table(title="capacity: digits_cnn on two cores", title_justify="left")
    for heading in ("what", "measured", ""):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    with tempfile.TemporaryDirectory() as scratch:
        good = planned(table, Home(Path(scratch) / "planned"))
        held(table, Home(Path(scratch) / "held"))
    Console(width=120).print(table)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
