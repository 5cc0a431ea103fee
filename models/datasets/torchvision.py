"""Datasets that torchvision downloads: CIFAR-10, CIFAR-100 and SVHN, colour images of 32 x 32 pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Data
from ..errors import InputError, first_line
from .root import ROOT_VARIABLE, data_root

# torchvision is imported inside the functions, because it takes a second and most studies do not need it.


def cifar10() -> Data:
    """Return CIFAR-10: 60,000 images in ten classes (Krizhevsky 2009); a tenth of the training images validates.

    Like all of these, it lies in the folder `$FULLSPECTRUM_DATA` (default: ./data), and is downloaded there when it is
    absent. Raises `InputError` when the files are absent or damaged and cannot be downloaded.
    """
    from torchvision.datasets import CIFAR10

    return _cifar("cifar10", CIFAR10, classes=10)


def cifar100() -> Data:
    """Return CIFAR-100: 60,000 images in a hundred fine classes (Krizhevsky 2009), as `cifar10` does."""
    from torchvision.datasets import CIFAR100

    return _cifar("cifar100", CIFAR100, classes=100)


def svhn() -> Data:
    """Return the cropped digits of Street View House Numbers, without the extra ones, as `cifar10` does.

    73,257 images for training, a tenth of them for validation, and 26,032 for test (Netzer et al. 2011). Training crops
    but never flips them.
    """
    from torchvision.datasets import SVHN

    def part(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
        found = SVHN(root, split=split, download=True)
        return found.data, found.labels

    files = " and ".join(SVHN.split_list[split][1] for split in ("train", "test"))
    return _load("svhn", part, f"the files {files}", classes=10, augment="crop")


def _cifar(name: str, kind: Any, classes: int) -> Data:
    def part(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
        # One archive holds both splits: it is there, checked, when the second is read.
        found = kind(root, train=split == "train", download=split == "train")
        return found.data.transpose(0, 3, 1, 2), np.array(found.targets, dtype=np.int64)

    return _load(name, part, f"the folder {kind.base_folder} of {kind.filename}", classes, augment="crop-and-flip")


def _load(
    name: str, part: Callable[[Path, str], tuple[np.ndarray, np.ndarray]], files: str, classes: int, augment: str
) -> Data:
    root = data_root()
    try:
        # Their checksums are compared before anything in them, some of which is pickled, is believed.
        arrays = {split: part(root, split) for split in ("train", "test")}
    except (OSError, RuntimeError, EOFError) as error:
        raise InputError(
            f"{name}: not found in {root}, or damaged, and could not be downloaded ({first_line(error)}); "
            f"put {files} there, or point {ROOT_VARIABLE} at where that is"
        ) from error
    return Data.from_arrays(name, arrays, classes=classes, augment=augment)
