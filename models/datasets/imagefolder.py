"""A folder of images: train/, test/ and perhaps val/, each with a folder for each class."""

from pathlib import Path

import numpy as np
from PIL import Image

from ..dataset import LEAST_AUGMENTED_SIZE, Data
from ..errors import InputError, first_line

EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}

MEMORY_LIMIT = 16 * 2**30
"""Bytes of pixels at most: a dataset lives in memory, once on each machine."""


def load(path: str) -> Data:
    """Return the images below `path` as RGB; all must be square and of one size. Classes are numbered by name.

    Raises `InputError` that names the folder, class or file when something is missing, broken or of another size, and
    when the classes of the splits differ.
    """
    root = Path(path)
    splits = [split for split in ("train", "val", "test") if split in ("train", "test") or (root / split).is_dir()]
    files = {split: _files(root / split) for split in splits}
    classes = sorted(files["train"])
    if len(classes) < 2:
        raise InputError(f"{root / 'train'}: has the one class {classes[0]}; at least 2 are needed.")
    for split in splits:
        if odd := sorted(files[split].keys() ^ files["train"].keys()):
            raise InputError(f"{root}: the classes of train and {split} differ in {', '.join(odd)}.")
    size = _common_size(files["train"][classes[0]][0])
    total = sum(len(found) for by_class in files.values() for found in by_class.values()) * 3 * size * size
    if total > MEMORY_LIMIT:
        raise InputError(
            f"{root}: takes {total / 2**30:.0f} GiB of memory, more than {MEMORY_LIMIT // 2**30}; shrink it."
        )
    arrays = {split: _read_split([files[split][name] for name in classes], size) for split in splits}
    return Data.from_arrays(f"imagefolder:{path}", arrays, classes=len(classes), augment=size >= LEAST_AUGMENTED_SIZE)


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return the sorted image files of each class, which is a folder that is not hidden."""
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; an image folder holds train/ and test/, a folder per class in each."
        )
    found = {
        entry.name: sorted(file for file in entry.iterdir() if file.suffix.lower() in EXTENSIONS)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    if not found:
        raise InputError(f"{folder}: has no folders; each class is a folder of its own.")
    if empty := [name for name, files in found.items() if not files]:
        raise InputError(f"{folder}: no images in {', '.join(empty)} ({', '.join(sorted(EXTENSIONS))}).")
    return found


def _common_size(file: Path) -> int:
    with _opened(file) as image:
        width, height = image.size
    if width != height:
        raise InputError(f"{file}: is {width} x {height} pixels; images must be square, crop or pad them first.")
    return width


def _read_split(files_by_class: list[list[Path]], size: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(files_by_class)), [len(files) for files in files_by_class])
    images = np.empty((len(labels), 3, size, size), dtype=np.uint8)
    for row, file in enumerate(file for files in files_by_class for file in files):
        images[row] = _read(file, size)
    return images, labels


def _read(file: Path, size: int) -> np.ndarray:
    with _opened(file) as image:
        # Before the pixels are decoded: a small file can declare a huge image.
        if image.size != (size, size):
            width, height = image.size
            raise InputError(f"{file}: is {width} x {height} pixels, the first image {size} x {size}; resize it.")
        try:
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except Exception as error:
            raise InputError(f"{file}: broken image ({first_line(error)}); replace or remove it.") from error


def _opened(file: Path) -> Image.Image:
    try:
        return Image.open(file)
    except Exception as error:
        raise InputError(f"{file}: not a readable image ({first_line(error)}); replace or remove it.") from error
