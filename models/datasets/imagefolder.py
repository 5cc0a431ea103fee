"""A folder of images: train/, test/ and perhaps val/, each with a folder for each class."""

import os
from pathlib import Path

from ..dataset import SPLITS, Data
from ..errors import InputError
from .classfolders import assemble, find

#: Pixels a side that images can be resized to.
MOST_PIXELS = 2**14


def load(reference: str) -> Data:
    """Return the images below the path that `reference` is: RGB, square and all of one size.

    `PATH@SIZE` has them cropped to their middle square and resized to SIZE x SIZE pixels. Where they do not fit into
    memory they are decoded for each batch. Raises `InputError` as `assemble` does.
    """
    path, size = _parse(reference)
    root = Path(path)
    if not os.path.isdir(root):
        raise InputError(f"{root}: no such folder; an image folder holds train/, test/ and perhaps val/")
    present = [split for split in SPLITS if split != "val" or os.path.isdir(root / split)]
    return assemble(f"imagefolder:{reference}", root, {split: find(root, split) for split in present}, size)


def _parse(reference: str) -> tuple[str, int | None]:
    path, at, size = reference.rpartition("@")
    # A folder may have an @ in its own name.
    if not at or "/" in size or os.path.isdir(reference):
        return reference, None
    if not size.isdecimal() or not 1 <= int(size) <= MOST_PIXELS:
        raise InputError(
            f'imagefolder:PATH@SIZE takes a number of pixels for SIZE, {MOST_PIXELS} at most, but got "{size}"'
        )
    return path, int(size)
