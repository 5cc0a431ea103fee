"""What `imp` takes in a study, beside the same rounds in a bare loop: 9 rounds of 60 steps of `digits_cnn`.

    python -m tests.benchmarks.imp

In a study its scores are computed by a worker that keeps checkpoints, every minute and after every round, and writes
them to disk. The bare loop trains and removes, and keeps nothing. Both in this process, on one thread, one after the
other; the ratio is that of the medians.
"""

import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from fullspectrum.models.data import load
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.workbench import Workbench

ROUNDS, STEPS, SPARSITY = 9, 60, 0.995
SEARCH = {"sources": ["imp"], "rounds": ROUNDS, "round_iterations": STEPS}
STUDY = {
    "model": "digits_cnn",
    "data": "digits",
    "sparsity": SPARSITY,
    "search": SEARCH,
    "training": {"batch_size": 64},
}


def bare(bench: Workbench) -> np.ndarray:
    """The kept weights of all layers, flat."""
    shapes = bench.shapes
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    left, seed = np.ones(size, dtype=bool), derive(0, "batch", 0)
    for number in range(ROUNDS):
        model = copy.deepcopy(bench.model)
        parts = np.split(left, np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1])
        masks = MaskSet({name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)})
        recipe = bench.setting.training.recipe
        MaskedTraining(model, masks, bench.data, recipe, STEPS, derive(seed, "round", number)).run(STEPS)
        weights = np.concatenate([weight.detach().numpy().ravel() for weight in prunable(model).values()])
        count = round(size * (1 - SPARSITY) ** ((number + 1) / ROUNDS))
        magnitude = np.where(left, np.abs(weights), -1.0)
        left = np.zeros(size, dtype=bool)
        left[np.argsort(-magnitude, kind="stable")[:count]] = True
    return left


def in_a_study(bench: Workbench) -> np.ndarray:
    """The same by the study's own scores."""
    with tempfile.TemporaryDirectory() as folder:
        bench.folder, bench._scores = StudyFolder(Path(folder)), {}
        scores = bench.scores(MaskDistribution("imp", 0.0, 0, {}, "global"))
    flat = np.concatenate([values.ravel() for values in scores.values()])
    left = np.zeros(flat.size, dtype=bool)
    left[np.argsort(-flat, kind="stable")[: bench.setting.kept]] = True
    return left


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measures and prints."""
    torch.set_num_threads(1)
    study, data = parse(STUDY), load("digits", 0)
    bench = Workbench(study, build("digits_cnn", data.task, 0), data)
    assert (bare(bench) == in_a_study(bench)).all(), "not the same mask"
    # In turn, because the load of a machine changes.
    rounds = [(seconds(lambda: bare(bench)), seconds(lambda: in_a_study(bench))) for _ in range(5)]
    plain, own = np.median(np.array(rounds), axis=0)
    print(f"bare loop {plain:.2f} s, in a study {own:.2f} s: {own / plain:.3f} times as long, the same mask to the bit")


if __name__ == "__main__":
    main()
