"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes (Krizhevsky 2009)."""

import os
from pathlib import Path

import numpy as np

from ..dataset import Data
from ..errors import InputError, first_line

ROOT_VARIABLE = "FULLSPECTRUM_DATA"


def load() -> Data:
    """Return CIFAR-10 from the folder `$FULLSPECTRUM_DATA` (default: ./data), downloaded there when it is absent.

    A tenth of the training images (5,000) is held out for validation. Raises `InputError` when the files are absent
    or damaged and cannot be downloaded.
    """
    # Here, because it takes a second to import and most studies do not need it.
    from torchvision.datasets import CIFAR10

    root = Path(os.environ.get(ROOT_VARIABLE) or "data").absolute()
    try:
        # Their checksums are compared before anything in them, which is pickled, is believed.
        parts = {"train": CIFAR10(root, train=True, download=True), "test": CIFAR10(root, train=False)}
    except (OSError, RuntimeError, EOFError) as error:
        raise InputError(
            f"cifar10: not found in {root}, or damaged, and could not be downloaded ({first_line(error)}); "
            f"put the folder {CIFAR10.base_folder} of {CIFAR10.filename} there, or set {ROOT_VARIABLE} to its parent."
        ) from error
    arrays = {
        split: (part.data.transpose(0, 3, 1, 2), np.array(part.targets, dtype=np.int64))
        for split, part in parts.items()
    }
    return Data.from_arrays("cifar10", arrays, classes=10, augment=True)
