"""What spectral ascent gains in distance, held against drawing more masks in the same time; one thread.

Run by `python -m tests.benchmarks.ascent`. Every start is a random or biregular mask with ERK allocation; resampling
draws random ones for as long as the ascent from random took, and keeps the best whole one, or the best of each layer,
to which the ratio is.
It measures the search for a high distance and nothing else: a higher distance is not a higher accuracy.
"""

import math
import statistics
import time

import torch
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.models.seeds import derive
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.spectral.coordinate import FIELDS, Coordinate, full_spectra
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

NETWORKS = {"digits_cnn": 0.98, "resnet20": 0.95}
SEEDS = 3
SOURCES = ("random", "biregular", "ascent", "ascent:biregular")


def workbench(model: str, objective: str) -> Workbench:
    """A bench that draws from all sources."""
    search = {"sources": list(SOURCES)}
    settings = {"model": model, "data": "digits", "sparsity": NETWORKS[model], "objective": objective}
    study = parse(settings | {"search": search})
    data = load(study.data)
    return Workbench(study, build(model, data.task, study.seed), data)


def drawn(bench: Workbench, source: str, seed: int) -> tuple[Coordinate, float]:
    """The coordinate of a mask, and the seconds that it took to draw and to score it."""
    distribution = MaskDistribution(source, math.inf, 0, {}, "erk")
    begun = time.perf_counter()
    masks = bench.draw(distribution, bench.counts(distribution), seed)
    coordinate = full_spectra([masks], bench.weights, threads=1, cache=bench.setting.spectra)[0]
    return coordinate, time.perf_counter() - begun


def resampled(bench: Workbench, seed: int, seconds: float) -> tuple[int, float, float]:
    """How many random masks are drawn and scored in that time; the best value, and that of the best of each layer."""
    objective = bench.objectives[bench.study.score]
    best, terms, draws, begun = -math.inf, {}, 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        coordinate, _ = drawn(bench, "random", derive(seed, "again", draws))
        best = max(best, objective.value(coordinate))
        for name, term in objective.terms(coordinate).items():
            if not math.isnan(term):
                terms[name] = max(term, terms.get(name, -math.inf))
        draws += 1
    together = sum(terms.values()) if bench.study.score == "l2" else statistics.fmean(terms.values())
    return draws, best, together


def gains(objective: str) -> Table:
    """The start, and what ascent and resampling add to it."""
    table = Table(
        title=f"{objective}: random masks, ERK, means of {SEEDS} seeds; gains over the start", title_justify="left"
    )
    table.add_column("network", no_wrap=True)
    for heading in ("start", "ascent", "seconds", "draws", "best", "per layer", "ratio"):
        table.add_column(heading, justify="right")
    for model in NETWORKS:
        bench = workbench(model, objective)
        value, rows = bench.objectives[objective].value, []
        for seed in range(SEEDS):
            start = value(drawn(bench, "random", seed)[0])
            climbed, seconds = drawn(bench, "ascent", seed)
            draws, best, per_layer = resampled(bench, seed, seconds)
            rows.append([start, value(climbed) - start, seconds, draws, best - start, per_layer - start])
        start, gain, seconds, draws, best, per_layer = (statistics.fmean(column) for column in zip(*rows, strict=True))
        cells = f"{start:.2f}", f"{gain:+.2f}", f"{seconds:.1f}", f"{draws:.0f}", f"{best:+.2f}", f"{per_layer:+.2f}"
        table.add_row(model, *cells, f"{gain / per_layer:.1f}")
    return table


def components(model: str) -> Table:
    """What masks of each source have: distance, its z, and the mean of each component and of its z over the layers."""
    bench = workbench(model, "l2")
    table = Table(title=f"{model}: means over layers, with z beside random masks", title_justify="left")
    table.add_column("source", no_wrap=True)
    for heading in ("distance", *FIELDS):
        table.add_column(heading.removesuffix("_gap"), justify="right")
    for source in SOURCES:
        coordinate, _ = drawn(bench, source, 0)
        chance = coordinate.distance_chance()
        cells = [f"{chance.value:.1f} ({chance.z:+.1f})"]
        z_scores = coordinate.chance().values()
        for field in FIELDS:
            zs = [layer[field].z for layer in z_scores if not math.isnan(layer[field].z)]
            cells.append(f"{coordinate.mean(field):.2f} ({statistics.fmean(zs):+.1f})")
        table.add_row(source, *cells)
    return table


def main() -> None:
    """Measures and prints the tables."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for objective in ("l2", "imdb"):
            Console().print(gains(objective))
        for model in NETWORKS:
            Console().print(components(model))


if __name__ == "__main__":
    main()
