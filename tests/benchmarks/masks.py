"""What masks are worth, and what they cost: single sources, pretraining and IMP beside random masks.

    python -m tests.benchmarks.masks digits [--sparsity 0.995] [--seeds 5] [--record FILE]
    python -m tests.benchmarks.masks imagefolder:PATH --model resnet20 --steps 1590 --seeds 1 [--record FILE]

Test accuracy after a training of the same length under each mask, and the optimizer steps that the result took in all,
from the initial weights on. Each mask is drawn by the product's own code, at temperature 0, for one seed of initial
weights after another. Beside each stands a random mask of ERK layer sparsities that was trained, from the initial
weights, for as many steps as the mask cost in all, and the mean difference to it with half of its 95 % interval over
the seeds, paired. `--rounds` compares rounds of `imp` of several lengths. What is in the record, a file of JSON lines,
is not computed again.
"""

import argparse
import copy
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from fullspectrum.models.batches import batches_per_epoch
from fullspectrum.models.data import Data, load
from fullspectrum.models.networks import build
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.final.baselines import erk_random
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.pretraining import pretrain
from fullspectrum.search.worker.workbench import Workbench
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import t

DENSE, RANDOM = "dense", "random"

#: Sources that score the initial weights.
AT_START = ("magnitude", "snip", "grasp", "synflow")


@dataclass(frozen=True)
class Job:
    """One training: a mask and the steps under it."""

    data: str
    model: str
    sparsity: float
    seed: int
    steps: int
    """Under the mask."""
    batch_size: int
    source: str
    allocation: str = "erk"
    pretraining: int = 0
    rounds: int = 0
    round_iterations: int = 0

    @property
    def name(self) -> str:
        """What was trained, in the table."""
        rounds = f", {self.rounds} × {self.round_iterations}" if self.rounds else ""
        start = f" at θ_{self.pretraining}" if self.pretraining else ""
        return f"{self.source}{rounds}{f', {self.allocation}' if self.source != DENSE else ''}{start}"

    @property
    def cost(self) -> int:
        """All optimizer steps."""
        return self.pretraining + self.rounds * self.round_iterations + self.steps


@cache
def dataset(name: str) -> Data:
    return load(name, 0)


def trained(job: Job) -> float:
    """Test accuracy."""
    torch.set_num_threads(1)
    data = dataset(job.data)
    epochs = math.ceil(max(job.steps, job.pretraining) / batches_per_epoch(data.splits["train"], job.batch_size))
    source = RANDOM if job.source == DENSE else job.source
    search = {"sources": [source], "theta": "none", "min_kept_per_output": 0.0}
    search |= {"rounds": job.rounds, "round_iterations": job.round_iterations} if job.rounds else {}
    settings = {"model": job.model, "data": job.data, "sparsity": job.sparsity, "seed": job.seed, "search": search}
    settings |= {"training": {"batch_size": job.batch_size}, "final": {"epochs": epochs}}
    study = parse(settings)
    model = build(job.model, data.task, job.seed)
    for _, state in pretrain(study, model, data, [job.pretraining], job.seed):
        model.load_state_dict(state)
    bench, masks = Workbench(study, copy.deepcopy(model), data, pretraining=job.pretraining), None
    if job.source == RANDOM:
        masks = erk_random(bench, job.seed)
    elif job.source != DENSE:
        distribution = MaskDistribution(job.source, 0.0, 0, {}, job.allocation, job.pretraining)
        masks = bench.draw(distribution, bench.counts(distribution), derive(job.seed, "draw"))
    recipe = Recipe(batch_size=job.batch_size)
    training = MaskedTraining(model, masks, data, recipe, job.steps, derive(job.seed, "final"))
    training.run(job.steps)
    return training.accuracy("test")


def plan(given: argparse.Namespace) -> list[Job]:
    """The trainings of each seed, without those at equal cost, which follow from them."""
    jobs = []
    for seed in range(given.seeds):
        base = {"data": given.data, "model": given.model, "sparsity": given.sparsity, "seed": seed}
        base |= {"steps": given.steps, "batch_size": given.batch}
        k, each = given.pretraining, given.round_iterations
        jobs += [Job(**base, source=DENSE), Job(**base, source=RANDOM)]
        jobs += [Job(**base, source=s, allocation=a) for s in given.sources for a in given.allocations]
        jobs += [Job(**base, source="magnitude", allocation=a, pretraining=k) for a in given.allocations]
        for length in dict.fromkeys([each, *given.rounds]):
            jobs.append(Job(**base, source="imp", allocation="global", rounds=9, round_iterations=length))
        jobs.append(Job(**base, source="imp", allocation="global", pretraining=k, rounds=9, round_iterations=each))
        if given.full:
            jobs.append(Job(**base, source="imp", allocation="global", rounds=9, round_iterations=given.steps))
    return jobs


def at_equal_cost(job: Job) -> Job:
    """A random mask that is trained for as many steps as `job` costs."""
    return Job(job.data, job.model, job.sparsity, job.seed, job.cost, job.batch_size, RANDOM)


class Record:
    """Accuracies by training, in a file of JSON lines where one is given."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.found: dict[Job, float] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.found[Job(**row["job"])] = row["accuracy"]

    def add(self, job: Job, accuracy: float) -> None:
        self.found[job] = accuracy
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps({"job": asdict(job), "accuracy": accuracy}) + "\n")


def train(jobs: list[Job], record: Record, processes: int, console: Console) -> None:
    """Run the trainings that are not in the record, each as it ends put there and printed."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(trained, job): job for job in dict.fromkeys(jobs) if job not in record.found}
        for future in as_completed(running):
            record.add(job := running[future], future.result())
            console.print(f"seed {job.seed}, {job.name}: {record.found[job]:.4f} ({job.cost:,} steps)", highlight=False)


def paired(ours: list[float], theirs: list[float]) -> str:
    """The mean difference, and half of its 95 % interval over the seeds."""
    gain = np.array(ours) - np.array(theirs)
    if len(gain) < 2:
        return f"{gain.mean():+.4f}"
    return f"{gain.mean():+.4f} ± {t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / math.sqrt(len(gain)):.4f}"


def printed(given: argparse.Namespace, record: Record) -> Table:
    title = (
        f"{given.model} on {Path(given.data).name}, sparsity {given.sparsity:g}, {given.steps} steps of {given.batch} "
        f"under the mask, {given.seeds} seeds"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("mask")
    for heading in ("test acc.", "least", "steps in all", "random, as many steps", "less it"):
        table.add_column(heading, justify="right")
    by_name: dict[str, list[Job]] = {}
    for job in plan(given):
        if job in record.found:
            by_name.setdefault(job.name, []).append(job)
    for name, jobs in sorted(by_name.items(), key=lambda item: -np.mean([record.found[job] for job in item[1]])):
        ours = [record.found[job] for job in jobs]
        cells = [name, f"{np.mean(ours):.4f}", f"{min(ours):.4f}", f"{jobs[0].cost:,}"]
        theirs = [record.found.get(at_equal_cost(job)) for job in jobs]
        if name != DENSE and None not in theirs:
            cells += [f"{np.mean(theirs):.4f}", paired(ours, theirs)]
        table.add_row(*cells)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--model", default="digits_cnn")
    parser.add_argument("--sparsity", type=float, default=0.995)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=640, help="under the mask")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--pretraining", type=int, default=150)
    parser.add_argument("--round-iterations", type=int, default=60)
    parser.add_argument("--rounds", type=int, nargs="*", default=[], help="further lengths of the rounds of imp")
    parser.add_argument(
        "--full", action="store_true", help="imp with rounds as long as the training under the mask too"
    )
    parser.add_argument("--sources", nargs="*", default=AT_START)
    parser.add_argument("--allocations", nargs="*", default=["erk", "global"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    record = Record(given.record)
    dataset(given.data)  # Decoded once, before the processes do it.
    console = Console(width=110)
    jobs = plan(given)
    jobs += [at_equal_cost(job) for job in jobs if job.source != DENSE]
    train(jobs, record, given.processes, console)
    console.print(printed(given, record))


if __name__ == "__main__":
    main()
