"""Splits of image files in which each class is a folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch

from ..dataset import LEAST_AUGMENTED_SIZE, Data, Split
from ..errors import InputError
from ..imagecache import cached
from ..imagefiles import ImageFiles, side

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}

#: Bytes of pixels held in memory at most, once on each machine and on each GPU; more are decoded for each batch.
MEMORY_LIMIT = 4 * 2**30


def find(root: Path, split: str, within: str = "") -> dict[str, list[str]]:
    """Return the image files of each class: paths below `root`, sorted.

    A class is a folder of `root`/`split`; its files lie in the folder `within` of that one. What is hidden is neither.
    Raises `InputError` for a missing or unreadable folder and for a class without images.
    """
    folder = root / split
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; it must hold a folder of images for each class")
    names = sorted(name for name in _listed(folder) if os.path.isdir(folder / name))
    if not names:
        raise InputError(f"{folder}: has no folders; each class is a folder of its own")
    found = {name: _images(root, os.path.join(split, name, within)) for name in names}
    if empty := [name for name, files in found.items() if not files]:
        raise InputError(f"{folder}: no images in {', '.join(empty)} ({', '.join(sorted(EXTENSIONS))})")
    return found


def assemble(
    name: str,
    root: Path,
    splits: Mapping[str, Mapping[str, list[str]]],
    size: int | None = None,
    streamed: bool = False,
    statistics: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> Data:
    """Make a dataset of the files of each class by split; classes are numbered by name.

    Images are resized to `size`; None: they must all be square and of one size already. They are held in memory, and
    cached, unless there are too many or they are to be `streamed`.
    Raises `InputError` that names the folder, class or file when something is missing, broken or of another size, and
    when the classes of the splits differ.
    """
    classes = sorted(splits["train"])
    if len(classes) < 2:
        raise InputError(f"{root / 'train'}: has the one class {classes[0]}; at least 2 are needed")
    for split, found in splits.items():
        if odd := sorted(found.keys() ^ splits["train"].keys()):
            raise InputError(f"{root}: the classes of train and {split} differ in {', '.join(odd)}")
    pixels = size or side(os.path.join(root, splits["train"][classes[0]][0]))
    files = {
        split: ImageFiles.of(root, [file for each in classes for file in found[each]], pixels, exact=size is None)
        for split, found in splits.items()
    }
    streamed = streamed or sum(len(part) for part in files.values()) * 3 * pixels**2 > MEMORY_LIMIT
    parts = {}
    for split, found in splits.items():
        counts = torch.tensor([len(found[each]) for each in classes])
        images = files[split] if streamed else cached(files[split], split)
        parts[split] = Split(images, torch.arange(len(classes)).repeat_interleave(counts))
    augment = "crop-and-flip" if pixels >= LEAST_AUGMENTED_SIZE else None
    return Data.from_splits(name, parts, len(classes), augment, statistics)


def _images(root: Path, folder: str) -> list[str]:
    names = sorted(name for name in _listed(root / folder) if os.path.splitext(name)[1].lower() in EXTENSIONS)
    return [os.path.join(folder, name) for name in names]


def _listed(folder: Path) -> list[str]:
    """Return what is not hidden in a folder; beside an image.png macOS leaves a ._image.png, which is none."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except FileNotFoundError:  # A class without the folder in which its images should lie.
        return []
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); give the right to, or remove it") from error
