"""Tiny ImageNet: 110,000 colour images of 64 x 64 pixels in 200 classes (Le and Yang 2015)."""

from pathlib import Path

from ..dataset import Data
from ..errors import InputError
from .classfolders import assemble, find
from .root import unpacked

ANNOTATIONS = "val/val_annotations.txt"


def load() -> Data:
    """Return Tiny ImageNet from the folder tiny-imagenet-200 of `$FULLSPECTRUM_DATA` (default: ./data).

    The official validation images are the test split, as everywhere, because the official test images have no labels;
    a tenth of the training images validates. Raises `InputError` for a missing or damaged folder.
    """
    root = unpacked(
        "tiny-imagenet", "tiny-imagenet-200", "unpack tiny-imagenet-200.zip (Stanford, course CS231n) in its parent"
    )
    splits = {"train": find(root, "train", within="images"), "test": _annotated(root)}
    return assemble("tiny-imagenet", root, splits, size=64)


def _annotated(root: Path) -> dict[str, list[str]]:
    """Return the files of each class as the annotations list them: file, class and box, divided by tabs."""
    path = root / ANNOTATIONS
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); unpack tiny-imagenet-200.zip again") from error
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        file, tab, rest = line.partition("\t")
        if not file or not tab:
            raise InputError(f"{path}: line {number} is no file and class divided by a tab; unpack it again")
        found.setdefault(rest.split("\t")[0], []).append(f"val/images/{file}")
    return {name: sorted(files) for name, files in found.items()}
