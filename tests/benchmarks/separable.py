"""What the best of n draws in each layer gains over the best of n whole draws, and what it costs; one thread.

Run by `python -m tests.benchmarks.separable`. Gains are over the mean single draw, in standard deviations of one draw;
ratios compare two measurements of this run. It measures the search for a high distance and nothing else: a higher
distance is not a higher accuracy, and a mask that no natural draw would give may train worse than one that scores less.
"""

import math
import statistics
import time

import numpy as np
import torch
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.models.seeds import derive
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.workbench import Workbench
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

NETWORKS = {"digits_cnn": 0.98, "resnet20": 0.95}
DRAWS = (8, 16, 32)
SEEDS = 20


def workbench(model: str, draws: int) -> Workbench:
    """A bench that draws random masks with ERK allocation, `draws` whole ones and one composed of them."""
    search = {"sources": ["random"], "samples_per_trial": draws, "draw": "per_layer"}
    study = parse({"model": model, "data": "digits", "sparsity": NETWORKS[model], "search": search})
    data = load(study.data)
    return Workbench(study, build(model, data.task, study.seed), data)


def trial(bench: Workbench, seed: int) -> tuple[list[float], float, float, float]:
    """Distances of the whole draws, the best with the composed one among them, and the seconds up to either."""
    draws = bench.study.search.samples_per_trial
    distances, whole_seconds = [], 0.0
    begun = time.perf_counter()
    for candidate in bench.candidates(MaskDistribution("random", math.inf, 0, {}), seed):
        distances.append(candidate.score)
        if len(distances) == draws:
            whole_seconds = time.perf_counter() - begun
    return distances[:draws], max(distances), whole_seconds, time.perf_counter() - begun


def main() -> None:
    """Measures and prints the table."""
    torch.set_num_threads(1)
    table = Table(
        title=f"random masks, ERK, {SEEDS} seeds, one thread; gain over the mean draw in its standard deviations",
        title_justify="left",
    )
    table.add_column("network", no_wrap=True)
    for heading in ("sparsity", "n", "whole", "per layer", "seconds", "per layer", "ratio"):
        table.add_column(heading, justify="right")
    with threadpool_limits(1):
        for model, sparsity in NETWORKS.items():
            for draws in DRAWS:
                bench = workbench(model, draws)
                trials = [trial(bench, derive(draws, "separable", seed)) for seed in range(SEEDS)]
                single = np.array([distances for distances, *_ in trials])
                mean, deviation = single.mean(), single.std(ddof=1)
                whole = (single.max(axis=1).mean() - mean) / deviation
                per_layer = (statistics.fmean(best for _, best, *_ in trials) - mean) / deviation
                before, after = (statistics.median(times) for times in list(zip(*trials, strict=True))[2:])
                table.add_row(
                    model,
                    f"{sparsity:g}",
                    str(draws),
                    f"+{whole:.2f}",
                    f"+{per_layer:.2f}",
                    f"{before:.2f}",
                    f"{after:.2f}",
                    f"{after / before:.3f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
