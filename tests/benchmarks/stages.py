"""Seconds for each stage of one trial on `digits_cnn`, and what Ray Tune adds to it; one thread.

Run by `make bench`. Ratios compare two measurements of this run; absolute times depend on the machine.
"""

import io
import statistics
import tempfile
import time
from pathlib import Path

import torch
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home, write_json
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.study import run_study
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.spectral.coordinate import full_spectra
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from .timing import seconds

CANDIDATES = 8
FEW, MANY = 20, 120


def study(**search: object) -> Study:
    """A spectral-only study of random masks at 98 % sparsity on one worker."""
    settings = {"sources": ["random"], "sampler": "random", "max_concurrent": 1, "samples_per_trial": CANDIDATES}
    return parse(
        {
            "model": "digits_cnn",
            "data": "digits",
            "sparsity": 0.98,
            "search": settings | search,
            "warmup": {"iterations": 0},
            "final": {"top_k": 0},
        }
    )


def scored_afresh(masks, bench: Workbench) -> list[float]:
    """Return the distance of each mask set, computed without the cache of the workbench."""
    return [coordinate.l2_distance() for coordinate in full_spectra(masks, bench.weights, threads=1)]


def step_seconds(bench: Workbench, masks) -> dict[str, float]:
    """Median seconds of one training step, masked and dense, measured in turns so that both see the same machine."""
    recipe = bench.study.training.recipe()
    trainings = {
        kind: MaskedTraining(build("digits_cnn", bench.data.task, 0), chosen, bench.data, recipe, 1000, 0)
        for kind, chosen in (("masked", masks), ("dense", None))
    }
    times: dict[str, list[float]] = {kind: [] for kind in trainings}
    for _ in range(40):
        for kind, training in trainings.items():
            begun = time.perf_counter()
            training.run(1)
            times[kind].append(time.perf_counter() - begun)
    return {kind: statistics.median(values[5:]) for kind, values in times.items()}


def bare_trial_seconds(bench: Workbench, folder: Path) -> float:
    """Seconds of a trial's own work in a bare loop: draw, guard, score and write as many candidates as a trial does."""
    distribution = MaskDistribution("random", float("inf"), 0, {})

    def trial(number: int) -> None:
        candidates = list(bench.candidates(distribution, derive(0, "trial", number)))
        write_json(folder / f"{number}.json", [candidate.row() for candidate in candidates])
        best = max(candidates, key=lambda candidate: candidate.score)
        best.masks.save(folder / f"{number}.safetensors")

    begun = time.perf_counter()
    for number in range(FEW):
        trial(number)
    return (time.perf_counter() - begun) / FEW


def searched_trial_seconds() -> float:
    """Seconds a trial costs in a whole search, record included: the slope from few trials to many, without start-up."""
    totals = []
    for trials in (FEW, MANY):
        with tempfile.TemporaryDirectory() as home:
            begun = time.perf_counter()
            run_study(study(trials=trials), Home(Path(home)), Console(file=io.StringIO()))
            totals.append(time.perf_counter() - begun)
    return (totals[1] - totals[0]) / (MANY - FEW)


def main() -> None:
    """Measures and prints the table."""
    torch.set_num_threads(1)
    data = load("digits")
    bench = Workbench(study(), build("digits_cnn", data.task, 0), data)
    distribution = MaskDistribution("random", float("inf"), 0, {})
    counts = bench.counts(distribution)
    masks = [bench.draw(distribution, counts, seed) for seed in range(CANDIDATES)]
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        sampled = seconds(lambda: [bench.draw(distribution, counts, seed) for seed in range(CANDIDATES)])
        guarded = seconds(lambda: [bench.connectivity(mask) for mask in masks])
        scored = seconds(lambda: scored_afresh(masks, bench))
        steps = step_seconds(bench, masks[0])
        bare = bare_trial_seconds(bench, Path(folder))
    searched = searched_trial_seconds()

    table = Table(title=f"digits_cnn ({masks[0].size:,} weights), sparsity 0.98, one thread", title_justify="left")
    for heading in ("stage", "measured", "target"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    table.add_row(f"sample {CANDIDATES} candidates", f"{sampled:.3f} s", "")
    table.add_row(f"guard {CANDIDATES} candidates", f"{guarded:.3f} s", "")
    table.add_row(f"score {CANDIDATES} candidates", f"{scored:.3f} s", "<= 0.5 s")
    table.add_row("training step, dense, batch 128", f"{1000 * steps['dense']:.1f} ms", "")
    table.add_row("training step, masked, batch 128", f"{1000 * steps['masked']:.1f} ms", "")
    table.add_row("masked step / dense step", f"{steps['masked'] / steps['dense']:.3f}", "<= 1.1")
    table.add_row("trial in a bare loop", f"{bare:.3f} s", "")
    table.add_row("trial in a search, record included", f"{searched:.3f} s", "")
    table.add_row("overhead of the search a trial", f"{searched - bare:.3f} s", "<= 0.1 s")
    Console().print(table)


if __name__ == "__main__":
    main()
