"""Seconds of a training step of ResNet-20 on CIFAR's sizes, masked against dense, and of measuring accuracy; CPU.

Run by `python -m tests.benchmarks.step`. The images are noise: speed does not depend on what they show. Ratios compare
measurements taken in turns, so that all of them see the same machine; absolute times depend on it.
"""

import statistics
import time

import numpy as np
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.training import MaskedTraining, Recipe
from fullspectrum.search.config.study import Warmup
from fullspectrum.spectral.evaluation import usable_cores
from rich.console import Console
from rich.table import Table

from .networks import masks

NETWORK, SPARSITY = "resnet20", 0.95
IMAGES, CHOSEN = 2048, 1000
REPEATS, DISCARDED = 12, 2
VALIDATION = 5000
"""Images of CIFAR-10's validation split: a tenth of its training images."""

KINDS = {
    "dense": (False, Recipe()),
    "masked": (True, Recipe()),
    "clipped": (True, Recipe(gradient_clip=1.0, ema=0.99)),
}


def noise() -> Data:
    """Images of CIFAR's size; evaluated are `CHOSEN` of them."""
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8), np.arange(IMAGES) % 10
    part = images[:CHOSEN], labels[:CHOSEN]
    return Data.from_arrays("noise", {"train": (images, labels), "val": part, "test": part}, augment=True)


def training(data: Data, masked: bool, recipe: Recipe) -> MaskedTraining:
    """A training of the network, under ERK-random masks or dense."""
    model = build(NETWORK, data.task, 0)
    shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters() if weight.ndim > 1}
    chosen = MaskSet(masks(shapes, SPARSITY)) if masked else None
    return MaskedTraining(model, chosen, data, recipe, REPEATS, 0)


def seconds(work) -> float:
    """The time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(data: Data) -> dict[str, float]:
    """Medians by name: seconds of a step of each kind and of one image's evaluation, and ratios to the dense step."""
    trainings = {kind: training(data, *how) for kind, how in KINDS.items()}
    rounds = [{kind: seconds(lambda run=run: run.run(1)) for kind, run in trainings.items()} for _ in range(REPEATS)]
    rounds = rounds[DISCARDED:]
    evaluations = [seconds(lambda: trainings["masked"].accuracy("val")) for _ in range(3)]
    found = {kind: statistics.median(each[kind] for each in rounds) for kind in KINDS}
    found |= {f"{kind} ratio": statistics.median(each[kind] / each["dense"] for each in rounds) for kind in KINDS}
    return found | {"image": statistics.median(evaluations) / CHOSEN}


def main() -> None:
    """Measures and prints the table."""
    data, every = noise(), Warmup().report_every
    columns = {}
    for threads in sorted({1, usable_cores()}):
        torch.set_num_threads(threads)
        columns[threads] = measure(data)
    table = Table(title=f"{NETWORK}, batch {Recipe().batch_size}, sparsity {SPARSITY}", title_justify="left")
    table.add_column("", no_wrap=True)
    for threads in columns:
        table.add_column(f"{threads} thread{'s' if threads > 1 else ''}", justify="right")
    table.add_column("target", justify="right")

    def row(title: str, cell, target: str = "") -> None:
        table.add_row(title, *(cell(found) for found in columns.values()), target)

    row("dense step", lambda found: f"{1000 * found['dense']:.0f} ms")
    row("masked step", lambda found: f"{1000 * found['masked']:.0f} ms")
    row("masked / dense", lambda found: f"{found['masked ratio']:.3f}", "<= 1.05")
    row("masked, clipped, averaged / dense", lambda found: f"{found['clipped ratio']:.3f}")
    row("evaluation of an image", lambda found: f"{1000 * found['image']:.2f} ms")
    row("image of a masked step", lambda found: f"{1000 * found['masked'] / Recipe().batch_size:.2f} ms")
    row(
        f"share of evaluation, every {every} steps",
        lambda found: f"{1 / (1 + every * found['masked'] / (VALIDATION * found['image'])):.0%}",
    )
    Console().print(table)


if __name__ == "__main__":
    main()
