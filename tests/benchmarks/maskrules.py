"""Test accuracy of masks that change while they train, beside the fixed random mask that they start from.

Run by `python -m tests.benchmarks.maskrules [SPARSITY [STEPS]]`; a few minutes. `digits_cnn` on the digits,
random masks of ERK layer sparsities, the same masks, weights and batches for each rule, as many steps, several seeds.
The error is half the 95 % interval of the mean difference between a rule and the fixed mask over the seeds, paired.
"""

import math
import sys

import numpy as np
import torch
from fullspectrum.models.data import load
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.sampling.allocation import allocate
from fullspectrum.search.sampling.draw import sample
from fullspectrum.search.sampling.layers import Layers
from rich.console import Console
from rich.table import Table
from scipy.stats import t

NETWORK, SPARSITY, STEPS, SEEDS = "digits_cnn", 0.995, 400, 5

#: Steps between two changes of the masks: the default of 100 would leave three in so short a training.
EVERY = 20

RULES = ("fixed", "set", "rigl", "gradual", "lr-rewinding")


def accuracies(seed: int, sparsity: float, steps: int) -> list[float]:
    """Test accuracy of each rule, from the same start."""
    data = load("digits")
    shapes = {name: tuple(w.shape) for name, w in prunable(build(NETWORK, data.task, seed)).items()}
    flat = {name: np.ones(shape) for name, shape in shapes.items()}
    start = MaskSet(sample(flat, allocate(Layers(shapes), sparsity), math.inf, seed))
    found = []
    for rule in RULES:
        recipe = Recipe(learning_rate=0.1, batch_size=64, mask=rule, mask_every=EVERY)
        training = MaskedTraining(build(NETWORK, data.task, seed), start, data, recipe, steps, seed)
        training.run(steps)
        found.append(training.accuracy("test"))
    return found


def main() -> None:
    """Measures and prints the table."""
    torch.set_num_threads(1)
    sparsity = float(sys.argv[1]) if len(sys.argv) > 1 else SPARSITY
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else STEPS
    found = np.array([accuracies(seed, sparsity, steps) for seed in range(SEEDS)])
    title = f"{NETWORK}, sparsity {sparsity:g}, {steps} steps of 64 images, {SEEDS} seeds, test accuracy"
    table = Table(title=title, title_justify="left")
    for heading in ("mask", "mean", "least", "greatest", "less the fixed mask"):
        table.add_column(heading, justify="left" if heading == "mask" else "right")
    for number, rule in enumerate(RULES):
        own, gain = found[:, number], found[:, number] - found[:, 0]
        error = t.ppf(0.975, SEEDS - 1) * gain.std(ddof=1) / math.sqrt(SEEDS)
        beside = "" if rule == "fixed" else f"{gain.mean():+.4f} ± {error:.4f}"
        table.add_row(rule, f"{own.mean():.4f}", f"{own.min():.4f}", f"{own.max():.4f}", beside)
    Console().print(table)


if __name__ == "__main__":
    main()
