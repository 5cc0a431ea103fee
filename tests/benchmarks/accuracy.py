"""Accuracy after a short warm-up of the masks of every source: ResNet-20 on CIFAR-10 at sparsity 0.95.

    python -m tests.benchmarks.accuracy imagefolder:PATH [--iterations 500] [--seeds 3] [--record FILE]

Each source is drawn as published: at its own global ranking and its own temperature. Beside them stand random masks of
ERK layer sparsities, and, for the first seed, the dense network and the layerwise shuffles of sources that rank
weights. Batches of 64, SGD from 0.05 to 0 by a cosine. Two trainings run at a time, one core each, three minutes or so
each on such a core. What is in the record, a file of JSON lines, is not trained again.
"""

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from fullspectrum.models.data import Data, load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.final.baselines import shuffled
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sources import SOURCES
from fullspectrum.search.worker.workbench import Workbench
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

SPARSITY = 0.95
RECIPE = Recipe(learning_rate=0.05, batch_size=64)
DENSE, ERK_RANDOM, SHUFFLE = "dense", "random, ERK", "shuffled"


@cache
def dataset(name: str) -> Data:
    return load(name)


def drawn(name: str, seed: int, data: Data) -> tuple[Workbench, MaskSet | None]:
    source, allocation = ("random", "erk") if name == ERK_RANDOM else (name.removeprefix(f"{SHUFFLE} "), "global")
    known = "random" if source == DENSE else source
    settings = {"model": "resnet20", "data": "digits", "sparsity": SPARSITY, "seed": seed}
    study = parse(settings | {"search": {"sources": [known], "theta": "none"}})
    bench = Workbench(study, build("resnet20", data.task, seed), data)
    if source == DENSE:
        return bench, None
    distribution = MaskDistribution(source, bench.source(source).default_temperature, 0, {}, allocation)
    masks = bench.draw(distribution, bench.counts(distribution), derive(seed, "draw"))
    return bench, shuffled(masks, seed) if name.startswith(SHUFFLE) else masks


COLUMNS = {"l2": ".2f", "effective": ".4f", "layer_density": ".4f"}


def trained(images: str, name: str, seed: int, iterations: int) -> dict:
    """The mask that a source draws for the weights of a seed, its coordinate, and its accuracies after the warm-up."""
    torch.set_num_threads(1)
    data = dataset(images)
    bench, masks = drawn(name, seed, data)
    row = {"name": name, "seed": seed, "iterations": iterations}
    if masks is not None:
        (candidate,) = bench.evaluate([(masks, seed)])
        row |= {"l2": candidate.scores.get("l2"), "layer_density": candidate.scores.get("layer_density")}
        row |= {"effective": candidate.connectivity.effective_sparsity, "fault": candidate.connectivity.fault}
    training = MaskedTraining(bench.model, masks, data, RECIPE, iterations, derive(seed, "warm-up"))
    training.run(iterations)
    return row | {"test": training.accuracy("test")}


def printed(rows: list[dict]) -> Table:
    title = f"ResNet-20 on CIFAR-10, sparsity {SPARSITY}, {rows[0]['iterations']} iterations"
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("source")
    for heading in ("test acc.", "seeds", "its shuffle", "distance", "effective", "layer density"):
        table.add_column(heading, justify="right")
    names = dict.fromkeys(row["name"] for row in rows if not row["name"].startswith(SHUFFLE))
    means = {name: fmean(row["test"] for row in rows if row["name"] == name) for name in names}
    for name in sorted(names, key=means.get, reverse=True):
        its = [row for row in rows if row["name"] == name]
        accuracies = [row["test"] for row in its]
        spread = f" ± {stdev(accuracies):.4f}" if len(accuracies) > 1 else ""
        shuffles = [row["test"] for row in rows if row["name"] == f"{SHUFFLE} {name}"]
        table.add_row(
            name,
            f"{means[name]:.4f}{spread}",
            str(len(its)),
            f"{fmean(shuffles):.4f}" if shuffles else "",
            *(f"{fmean(row[key] for row in its):{form}}" if key in its[0] else "" for key, form in COLUMNS.items()),
        )
    return table


def ranked(rows: list[dict]) -> str:
    """Whether the distance ranks the masks of all sources better than layer density does."""
    columns = np.array([(row["l2"], row["layer_density"], row["test"]) for row in rows if row.get("l2") is not None])
    distance, density = (spearmanr(columns[:, n], columns[:, 2]).statistic for n in (0, 1))
    return (
        f"Spearman's rank correlation with test accuracy over {len(columns)} masks: distance {distance:+.2f}, "
        f"layer density {density:+.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--record", type=Path)
    given = parser.parse_args()
    done = []
    if given.record and given.record.exists():
        done = [json.loads(line) for line in given.record.read_text().splitlines()]
    jobs = [(name, seed) for seed in range(given.seeds) for name in (*SOURCES, ERK_RANDOM)]
    jobs += [(DENSE, 0), *((f"{SHUFFLE} {name}", 0) for name in SOURCES if SOURCES[name]().has_saliency)]
    known = {(row["name"], row["seed"]) for row in done if row["iterations"] == given.iterations}
    jobs = [job for job in jobs if job not in known]
    dataset(given.data)  # Decoded once, before the processes do it.
    os.environ["OMP_NUM_THREADS"] = "1"
    console = Console(width=100)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(trained, given.data, name, seed, given.iterations) for name, seed in jobs]
        for future in as_completed(running):
            row = future.result()
            done.append(row)
            console.print(f"{row['name']}, seed {row['seed']}: test accuracy {row['test']:.4f}", highlight=False)
            if given.record:
                with given.record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    rows = [row for row in done if row["iterations"] == given.iterations]
    console.print(printed(rows))
    console.print(ranked(rows), highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
