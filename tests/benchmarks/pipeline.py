"""Images a second of augmented training batches, against torch's DataLoader over torchvision's datasets, two workers.

Ours has one thread for images in memory, because each step is too short to be shared, and two workers for files.
Run by `python -m tests.benchmarks.pipeline [FOLDER]`: CIFAR-10 as an image folder. Without one the images are those of
`$FULLSPECTRUM_DATA`, or noise of their size, which takes as long. Photographs are drawn, 500 x 375 pixels as JPEG.
Both sides are measured in turns, so that they see the same machine.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from fullspectrum.models.batches import batches
from fullspectrum.models.data import Data, Split, load
from fullspectrum.models.datasets.classfolders import assemble, find
from fullspectrum.models.datasets.root import data_root
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import CIFAR10, ImageFolder

BATCH, WORKERS = 128, 2
REPEATS = 5
PHOTOGRAPHS = 256


class InMemory(CIFAR10):
    """CIFAR-10 as torchvision holds it, of given images."""

    def __init__(self, split: Split, transform: Callable) -> None:
        self.data, self.targets = split.images.permute(0, 2, 3, 1).numpy(), split.labels.tolist()
        self.transform, self.target_transform = transform, None


def cifar10(folder: str | None) -> Data:
    """The images of `folder`, of the data root, or noise."""
    if folder:
        return load(f"imagefolder:{folder}")
    if (data_root() / CIFAR10.base_folder).is_dir():
        return load("cifar10")
    generator = np.random.default_rng(0)
    part = (generator.integers(0, 256, (50_000, 3, 32, 32), dtype=np.uint8), np.arange(50_000) % 10)
    return Data.from_arrays("noise", {"train": part, "test": part}, augment=True)


def photographs(root: Path) -> Data:
    """A folder of drawn photographs in two classes, left on the disk."""
    generator = np.random.default_rng(0)
    for split, count in (("train", PHOTOGRAPHS), ("val", 2), ("test", 2)):
        for number in range(count):
            folder = root / split / str(number % 2)
            folder.mkdir(parents=True, exist_ok=True)
            small = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            small.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
    return assemble("photographs", root, {split: find(root, split) for split in ("train", "val", "test")}, 224, True)


def loader(dataset: torch.utils.data.Dataset) -> Iterator:
    """Batches of torch's DataLoader, for ever."""
    while True:
        yield from DataLoader(dataset, batch_size=BATCH, shuffle=True, drop_last=True, num_workers=WORKERS)


def ours(data: Data) -> Iterator:
    """Batches of this package, for ever."""
    return batches(data.splits["train"], BATCH, torch.Generator(), data.augment)


def rate(iterator: Iterator, count: int) -> float:
    """Images a second over `count` batches."""
    begun = time.perf_counter()
    images = sum(len(labels) for _, labels in islice(iterator, count))
    return images / (time.perf_counter() - begun)


def compared(one: Iterator, other: Iterator, counts: tuple[int, int]) -> tuple[float, float]:
    """The median rate of each, in turns, after batches that do not count: the first ones start workers."""
    rates = [(rate(one, counts[0]), rate(other, counts[1])) for _ in range(REPEATS + 1)][1:]
    return statistics.median(pair[0] for pair in rates), statistics.median(pair[1] for pair in rates)


def augmented(first: Iterable[Callable], data: Data) -> Callable:
    """The same augmentation and normalisation by torchvision."""
    normalise = transforms.Normalize(data.mean.tolist(), data.std.tolist())
    return transforms.Compose([*first, transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalise])


def main() -> None:
    """Measures and prints the table."""
    torch.set_num_threads(1)
    data = cifar10(*sys.argv[1:2] or [None])
    torchvisions = InMemory(data.splits["train"], augmented([transforms.RandomCrop(32, padding=4)], data))
    small = compared(ours(data), loader(torchvisions), (100, 30))
    torch.set_num_threads(WORKERS)
    with tempfile.TemporaryDirectory() as folder:
        drawn = photographs(Path(folder))
        transform = augmented([transforms.RandomResizedCrop(224)], drawn)
        epoch = PHOTOGRAPHS // BATCH
        large = compared(ours(drawn), loader(ImageFolder(Path(folder) / "train", transform)), (epoch, epoch))

    table = Table(title=f"images/s, augmented training batches of {BATCH}", title_justify="left")
    for heading in ("images", "ours", "DataLoader", "ratio", "target"):
        table.add_column(heading, justify="left" if heading == "images" else "right")
    for name, (own, theirs), target in (("32 px, in memory", small, ">= 5"), ("photographs, 224 px, files", large, "")):
        table.add_row(name, f"{own:,.0f}", f"{theirs:,.0f}", f"{own / theirs:.2f}", target)
    Console().print(table)


if __name__ == "__main__":
    main()
