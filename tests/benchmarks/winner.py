"""The winner of a study beside single sources that score the initial weights, trained as long as it cost, and full IMP.

    python -m tests.benchmarks.winner digits [--seeds 5] [--set SETTING] [--home FOLDER] [--record FILE]

The product searches the study once for each seed of initial weights; its own baselines stand beside its winner. Then
each source trains its mask of temperature 0, at ERK and at global allocation, for as many optimizer steps as the winner
took in all, and IMP runs with rounds as long as the full training. The last column is the mean difference of the winner
to the mask of a row, with half of its 95 % interval over the seeds, paired. All are test accuracies; validation
accuracy chose the winner. What is in the home folder, or in the record, a file of JSON lines, is not computed again.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from fullspectrum.models.batches import batches_per_epoch
from fullspectrum.search import Study, search
from fullspectrum.search.config.studyfile import load_study
from fullspectrum.search.report.leaderboard import Row
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.benchmarks.masks import AT_START, Job, Record, dataset, paired, train

WINNER = "winner of the search"

console = Console(width=110)


def searched(study: Study, home: Path) -> dict[str, Row]:
    """The rows of the leaderboard that were trained in full: the winner's, and the baselines by name."""
    begun = time.perf_counter()
    result = search(study, home, resume=True, quiet=True)
    best, *others = [row for row in result.rows if row.accuracy_final is not None]
    console.print(
        f"seed {study.seed}, {best.source}: {best.accuracy_final:.4f} ({best.cost:,} steps), found in "
        f"{time.perf_counter() - begun:.0f} s. {result.verdicts[-1]}",
        highlight=False,
    )
    return {WINNER: best} | {row.label: row for row in others if row.is_baseline}


def single_sources(study: Study, steps: int) -> list[Job]:
    """One training of each source, for `steps` in all, and one of IMP in full."""
    full = study.final.epochs * batches_per_epoch(dataset(study.data).splits["train"], study.training.batch_size)
    base = {"data": study.data, "model": study.model, "sparsity": study.sparsity, "seed": study.seed}
    base |= {"batch_size": study.training.batch_size}
    jobs = [Job(**base, steps=steps, source=s, allocation=a) for s in AT_START for a in ("erk", "global")]
    imp = Job(**base, steps=full, source="imp", allocation="global", rounds=9, round_iterations=full)
    return [*jobs, imp]


def printed(title: str, accuracies: dict[str, list[float]], costs: dict[str, list[int]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("mask")
    for heading in ("test acc.", "least", "steps in all, mean", "winner less it"):
        table.add_column(heading, justify="right")
    for name in sorted(accuracies, key=lambda name: -np.mean(accuracies[name])):
        ours = accuracies[name]
        gain = paired(accuracies[WINNER], ours) if name != WINNER else ""
        table.add_row(name, f"{np.mean(ours):.4f}", f"{min(ours):.4f}", f"{np.mean(costs[name]):,.0f}", gain)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], dest="settings", help="KEY=VALUE, as for the search")
    parser.add_argument("--home", type=Path, help="a folder that keeps the searches")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    studies = [load_study(given.study, [*given.settings, f"seed={seed}"]) for seed in range(given.seeds)]
    accuracies: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[int]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        winners = [searched(study, given.home or Path(temporary)) for study in studies]
    for name, row in ((name, row) for rows in winners for name, row in rows.items()):
        accuracies[name].append(row.accuracy_final)
        costs[name].append(row.cost)
    record = Record(given.record)
    pairs = zip(studies, winners, strict=True)
    jobs = [job for study, rows in pairs for job in single_sources(study, rows[WINNER].cost)]
    train(jobs, record, given.processes, console)
    for job in jobs:
        accuracies[job.name].append(record.found[job])
        costs[job.name].append(job.cost)
    first = studies[0]
    title = f"{first.model} on {Path(first.data).name}, sparsity {first.sparsity:g}, {given.seeds} seeds"
    console.print(printed(title, accuracies, costs))


if __name__ == "__main__":
    main()
