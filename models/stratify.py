"""Splits that hold the same share of every class, the same on every machine and for every study."""

import numpy as np

from .errors import InputError

#: Fixed, whatever the study's seed: accuracies of several studies compare only if the splits do not move.
SPLIT_SEED = 20231210


def holdout(what: str, labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows of `labels` (int, (N,)) into those kept and those held out, both sorted.

    `fraction`, in (0, 1), of each class is held out: rounded, at least one row, and never the last one.
    Raises `InputError`, prefixed with `what`, when a class has fewer than two rows.
    """
    generator = np.random.default_rng(SPLIT_SEED)
    held = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) < 2:
            raise InputError(f"{what}: class {label} has one image only; at least 2 are needed to hold out a part")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held.append(generator.permutation(rows)[:count])
    held_out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
