"""Labelled images in three splits: training, validation (which decides) and test (which decides nothing)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from .augmentation import augmentation
from .errors import FAILURES, InputError, first_line
from .imagefiles import ImageFiles
from .stratify import holdout
from .task import Task

SPLITS = ("train", "val", "test")

#: Pixels a side: a crop shifted by up to 4 pixels keeps the subject of a 32 pixel image, not of a smaller one.
LEAST_AUGMENTED_SIZE = 32

#: Fraction of each class that leaves the training split for validation where a dataset has none.
HOLDOUT = 0.1

#: Image files, spread evenly over the training split, whose pixels give its mean and standard deviation.
STATISTICS_FILES = 1024

#: Pixels summed up together; in double precision those of three channels take 400 MB.
STATISTICS_PIXELS = 2**24


@dataclass(frozen=True, eq=False)
class Split:
    """`images` uint8 (N, C, H, W), `labels` int64 (N,), and the `mean` and `std` that normalise them.

    Images are in memory, or files that are decoded for each batch. `mean` and `std` are the training split's, float32
    (C,), in units of the full pixel range; `Data` fills them in.
    """

    images: torch.Tensor | ImageFiles
    labels: torch.Tensor
    mean: torch.Tensor | None = None
    std: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str | torch.device) -> "Split":
        """Return the split with its tensors on `device`."""
        images = self.images.to(device) if isinstance(self.images, torch.Tensor) else self.images
        mean, std = (value if value is None else value.to(device) for value in (self.mean, self.std))
        return Split(images, self.labels.to(device), mean, std)

    def at(self, rows: torch.Tensor) -> "Split":
        """Return the split of the images in `rows`, int64, in that order."""
        rows = rows.to(self.labels.device)
        return replace(self, images=self.images[rows], labels=self.labels[rows])


@dataclass(frozen=True, eq=False)
class Data:
    """A dataset: `splits` named train, val and test, and what training may do to `augment` them.

    `augment` is one of `augmentation.AUGMENTATIONS` or None; True is crop-and-flip. `mean` and `std` are those of the
    training split by channel, float32 (C,), in units of the full pixel range.
    Raises `InputError` when a split is missing or does not suit `task`, augmented images are too small, or mean and std
    cannot normalise.
    """

    name: str
    task: Task
    splits: dict[str, Split]
    mean: torch.Tensor
    std: torch.Tensor
    augment: bool | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", augmentation(self.augment))
        if set(self.splits) != set(SPLITS):
            raise InputError(f"{self.name}: splits must be {', '.join(SPLITS)}, but are {', '.join(self.splits)}")
        for split, part in self.splits.items():
            _check_split(f"{self.name}: {split} split", part, self.task)
        for name in ("mean", "std"):
            _check_statistic(f"{self.name}: {name}", getattr(self, name), self.task.channels)
        if self.augment and self.task.size < LEAST_AUGMENTED_SIZE:
            raise InputError(
                f"{self.name}: only images of at least {LEAST_AUGMENTED_SIZE} pixels can be augmented, "
                f"but these have {self.task.size}"
            )
        bound = {split: replace(part, mean=self.mean, std=self.std) for split, part in self.splits.items()}
        object.__setattr__(self, "splits", bound)

    def to(self, device: str | torch.device) -> "Data":
        """Return the dataset with every tensor on `device`."""
        splits = {split: part.to(device) for split, part in self.splits.items()}
        return replace(self, splits=splits, mean=self.mean.to(device), std=self.std.to(device))

    @classmethod
    def from_arrays(
        cls,
        name: str,
        splits: Mapping[str, tuple[object, object]],
        *,
        classes: int | None = None,
        augment: bool | str | None = None,
    ) -> "Data":
        """Make a dataset of (images, labels) arrays or tensors by split.

        Images are uint8 (N, C, H, W) or (N, H, W), square; labels are integers from 0 to `classes` - 1 (the largest
        training label where it is not given, and then one must be 0). Without "val", a tenth of each training class
        becomes it. Raises `InputError` for anything else.
        """
        if not {"train", "test"} <= set(splits) <= set(SPLITS):
            given = ", ".join(map(str, splits)) or "none"
            raise InputError(f"{name}: splits must be train, test and perhaps val, but are {given}")
        parts = {split: _to_split(f"{name}: {split} split", value) for split, value in splits.items()}
        return cls.from_splits(name, parts, classes or _counted_classes(name, parts["train"].labels), augment)

    @classmethod
    def from_splits(
        cls,
        name: str,
        splits: Mapping[str, Split],
        classes: int,
        augment: bool | str | None = None,
        statistics: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> "Data":
        """Make a dataset of the splits train, test and perhaps val.

        Without "val", a tenth of each training class becomes it. `statistics` are mean and std, measured where they
        are not given. Raises `InputError` as `Data` and `holdout` do.
        """
        parts = dict(splits)
        if "val" not in parts:
            train = parts["train"]
            kept, held = holdout(f"{name}: train split", train.labels.numpy(), HOLDOUT)
            parts["train"], parts["val"] = (train.at(torch.from_numpy(rows)) for rows in (kept, held))
        _, channels, size, _ = parts["train"].images.shape
        mean, std = statistics or channel_statistics(parts["train"].images)
        return cls(name, Task(channels, size, classes), {split: parts[split] for split in SPLITS}, mean, std, augment)


def channel_statistics(images: torch.Tensor | ImageFiles) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation by channel, float32 (C,), of uint8 images (N, C, H, W) scaled to [0, 1].

    Of files, those of `STATISTICS_FILES`. A standard deviation is at least one grey level, so that a constant channel
    can be divided by it.
    """
    number, channels, height, width = images.shape
    at_once = max(1, STATISTICS_PIXELS // (height * width))
    if isinstance(images, ImageFiles):
        rows = torch.linspace(0, number - 1, min(STATISTICS_FILES, number)).long()
        chunks = (images[part].decode() for part in rows.split(at_once))
    else:
        chunks = images.split(at_once)
    # Sums of whole numbers, exact in any order.
    count, total, squares = 0, torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    for chunk in chunks:
        values = chunk.to(torch.float64)
        count += len(values) * height * width
        total += values.sum(dim=(0, 2, 3))
        squares += values.square().sum(dim=(0, 2, 3))
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt().clamp(min=1)
    return (mean / 255).float(), (std / 255).float()


def _to_split(what: str, value: object) -> Split:
    """Turn a user's (images, labels) into tensors, checked as far as that goes without knowing the task."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InputError(f"{what} must be (images, labels), but is a {type(value).__name__}")
    images, labels = _to_tensor(f"{what}: images", value[0]), _to_tensor(f"{what}: labels", value[1])
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool or labels.ndim != 1:
        raise InputError(f"{what}: labels must be integers (N,), but are {labels.dtype} {tuple(labels.shape)}")
    # Unsigned labels of more than 8 bits cannot be compared.
    labels = labels.to(torch.int64)
    if labels.numel() == 0:
        raise InputError(f"{what} is empty")
    if labels.min() < 0:
        raise InputError(f"{what}: labels must be numbered from 0 to classes - 1, but one is {int(labels.min())}")
    images = images.unsqueeze(1) if images.ndim == 3 else images
    fitting = images.ndim == 4 and images.shape[2] == images.shape[3] > 0 and len(images) == len(labels)
    if images.dtype != torch.uint8 or not fitting:
        raise InputError(
            f"{what}: images must be uint8, from 0 to 255, ({len(labels)}, C, H, W) with H = W, "
            f"but are {images.dtype} {tuple(images.shape)}"
        )
    return Split(images.cpu().contiguous(), labels.cpu())


def _to_tensor(what: str, value: object) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.layout != torch.strided:
            kind = 'on the device "meta"' if value.is_meta else str(value.layout).removeprefix("torch.")
            raise InputError(f"{what} must be a dense tensor with values, but is {kind}; make it one (.to_dense())")
        return value
    try:
        # Torch takes neither mirrored arrays nor, without a warning, those that cannot be written.
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    except FAILURES as error:
        raise InputError(f"{what} must be an array of numbers, but are none ({first_line(error)})") from error


def _counted_classes(name: str, labels: torch.Tensor) -> int:
    least, classes = int(labels.min()), int(labels.max()) + 1
    if least > 0:
        raise InputError(
            f"{name}: the labels of the training images go from {least} to {classes - 1}; number the classes from 0"
        )
    if not 2 <= classes <= len(labels):
        raise InputError(
            f"{name}: classes must be an integer of at least 2, and no more than the {len(labels)} training images, "
            f"but the largest label is {classes - 1}; number the classes from 0"
        )
    return classes


def _check_statistic(what: str, value: object, channels: int) -> None:
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{what} must be a tensor of one value for each channel, but is a {type(value).__name__}")
    if value.dtype != torch.float32 or tuple(value.shape) != (channels,):
        raise InputError(f"{what} must be float32 ({channels},), but is {value.dtype} {tuple(value.shape)}")
    if not value.isfinite().all() or (what.endswith("std") and value.min() <= 0):
        raise InputError(f"{what} must be finite, and a std positive, but is {value.tolist()}")


def _check_split(what: str, split: Split, task: Task) -> None:
    images, labels = split.images, split.labels
    expected = (len(labels), task.channels, task.size, task.size)
    # Decoded files are uint8 RGB of the size they are decoded to.
    if isinstance(images, torch.Tensor) and (images.dtype != torch.uint8 or tuple(images.shape) != expected):
        raise InputError(f"{what}: images must be uint8 {expected}, but are {images.dtype} {tuple(images.shape)}")
    if len(labels) == 0:
        raise InputError(f"{what} is empty")
    if labels.dtype != torch.int64 or labels.min() < 0 or labels.max() >= task.classes:
        raise InputError(
            f"{what}: labels must be int64 from 0 to {task.classes - 1}, "
            f"but are {labels.dtype} from {int(labels.min())} to {int(labels.max())}; number the classes from 0"
        )
