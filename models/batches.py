"""Batches of normalised images: for training, for evaluation, and balanced by class for scoring."""

from collections.abc import Generator, Iterator

import numpy as np
import torch

from .augmentation import CROP_PADDING, augmentation, crop_and_flip
from .dataset import Data, Split
from .errors import InputError
from .imagefiles import ImageFiles

Batch = tuple[torch.Tensor, torch.Tensor]


def batches_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of full batches, or 1 for a split smaller than one."""
    return max(1, len(split) // batch_size)


def batches(
    split: Split, batch_size: int, generator: torch.Generator, augment: bool | str | None, skip: int = 0
) -> Generator[Batch, None, None]:
    """Yield (images, labels) for ever: float32 (B, C, H, W) normalised, int64 (B,), on the split's device.

    Each epoch is a new permutation, its last partial batch dropped (unless it is the only one). All draws of an epoch
    come from `generator` (on the CPU) before its first batch; `skip` batches of the first epoch are passed over.
    `augment` is what `augmentation` knows. Images in memory are cropped out of the image padded by `CROP_PADDING`;
    of image files a part of random size and aspect ratio is taken (`random_box`). Flips are from left to right.
    """
    epoch = _streamed if isinstance(split.images, ImageFiles) else _resident
    augment = augmentation(augment)
    while True:
        rows = torch.randperm(len(split), generator=generator)
        drawn = _slices(len(split), batch_size)[skip : batches_per_epoch(split, batch_size)]
        for images, labels in epoch(split, rows, augment, generator, drawn):
            yield _normalised(images, split), labels
        skip = 0


def evaluation_batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Yield every image of the split once, in order, as `batches` does but without augmentation."""
    chosen = _slices(len(split), batch_size)
    for part, images in zip(chosen, _in_order(split, chosen), strict=True):
        yield _normalised(images, split), split.labels[part]


def class_balanced_batch(data: Data, per_class: int, seed: int) -> Batch:
    """Return `per_class` training images of every class, class by class, as one batch: a function of `seed` alone.

    No augmentation. Raises `InputError` as `check_class_sizes` does.
    """
    check_class_sizes(data, per_class)
    train = data.splits["train"]
    labels = train.labels.cpu().numpy()
    generator = np.random.default_rng(seed)
    chosen = [
        generator.choice(np.flatnonzero(labels == label), per_class, replace=False)
        for label in range(data.task.classes)
    ]
    balanced = train.at(torch.from_numpy(np.concatenate(chosen)))
    # In pieces, so that image files are decoded by several workers.
    parts = list(evaluation_batches(balanced, 64))
    return torch.cat([images for images, _ in parts]), torch.cat([each for _, each in parts])


def check_class_sizes(data: Data, per_class: int, setting: str = "per_class") -> None:
    """Raise `InputError`, naming what asked for them, unless every class has `per_class` training images, 1 or more."""
    if per_class < 1:
        raise InputError(f"{setting} must be at least 1, but got {per_class}")
    counts = data.splits["train"].labels.bincount(minlength=data.task.classes)
    rarest, count = int(counts.argmin()), int(counts.min())
    if count < per_class:
        way_out = f"ask for fewer: {setting} = {count} at most" if count else "number the classes from 0, without gaps"
        raise InputError(
            f"{data.name}: a batch of {per_class} images per class was asked for ({setting}), but class {rarest} has "
            f"{count} in the training split; {way_out}"
        )


def few_images(split: Split, count: int) -> Batch:
    """Return `count` images spread evenly over the split, or all where there are fewer, without augmentation."""
    rows = torch.linspace(0, len(split) - 1, min(count, len(split))).long()
    return next(evaluation_batches(split.at(rows), count))


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _resident(
    split: Split, rows: torch.Tensor, augment: str | None, generator: torch.Generator, drawn: list[slice]
) -> Iterator[Batch]:
    assert isinstance(split.images, torch.Tensor)
    count, device = len(split), split.labels.device
    shifts, flips = torch.zeros(2, count), torch.zeros(count, dtype=torch.bool)
    if augment:
        shifts = torch.randint(2 * CROP_PADDING + 1, (2, count), generator=generator)
    if augment == "crop-and-flip":
        flips = torch.randint(2, (count,), generator=generator).bool()
    # Once an epoch, because each copy to a GPU waits for the queue of kernels.
    rows, shifts, flips = rows.to(device), shifts.to(device), flips.to(device)
    for batch in drawn:
        images = split.images.index_select(0, rows[batch])
        yield crop_and_flip(images, shifts[:, batch], flips[batch]) if augment else images, split.labels[rows[batch]]


def _streamed(
    split: Split, rows: torch.Tensor, augment: str | None, generator: torch.Generator, drawn: list[slice]
) -> Iterator[Batch]:
    assert isinstance(split.images, ImageFiles)
    seed = int(torch.randint(2**62, (), generator=generator))
    labels = split.labels[rows.to(split.labels.device)]
    pinned = labels.device.type == "cuda"
    files = split.images[rows].stream(drawn, augment, seed, pinned)
    for batch, images in zip(drawn, files, strict=True):
        yield images.to(labels.device, non_blocking=True), labels[batch]


def _in_order(split: Split, chosen: list[slice]) -> Iterator[torch.Tensor]:
    if isinstance(split.images, ImageFiles):
        pinned = split.labels.device.type == "cuda"
        for images in split.images.stream(chosen, pinned=pinned):
            yield images.to(split.labels.device, non_blocking=True)
    else:
        for part in chosen:
            yield split.images[part]


def _normalised(images: torch.Tensor, split: Split) -> torch.Tensor:
    assert split.mean is not None and split.std is not None
    scale = 1.0 / (255 * split.std)
    shift = -split.mean / split.std
    return images.float().mul_(scale[:, None, None]).add_(shift[:, None, None])
