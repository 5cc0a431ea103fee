"""Batches of normalised images: for training, for evaluation, and balanced by class for scoring."""

from collections.abc import Iterator

import numpy as np
import torch

from .dataset import Data, Split
from .errors import InputError

CROP_PADDING = 4
"""Black pixels added on each side before the random crop (He et al. 2016, section 4.2)."""

Batch = tuple[torch.Tensor, torch.Tensor]


def batches_per_epoch(split: Split, batch_size: int) -> int:
    """Return the number of full batches, or 1 for a split smaller than one."""
    return max(1, len(split) // batch_size)


def batches(split: Split, batch_size: int, generator: torch.Generator, augment: bool, skip: int = 0) -> Iterator[Batch]:
    """Yield (images, labels) for ever: float32 (B, C, H, W) normalised, int64 (B,), on the split's device.

    Each epoch is a new permutation, its last partial batch dropped (unless it is the only one). All draws of an epoch
    come from `generator` (on the CPU) before its first batch; `skip` batches of the first epoch are passed over.
    `augment` crops at random out of the padded image and flips half of the images left to right.
    """
    device = split.images.device
    while True:
        rows = torch.randperm(len(split), generator=generator)
        shifts = torch.randint(2 * CROP_PADDING + 1, (2, len(split)), generator=generator) if augment else None
        flips = torch.randint(2, (len(split),), generator=generator).bool() if augment else None
        # Once an epoch, because each copy to a GPU waits for the queue of kernels.
        rows, shifts, flips = (None if draw is None else draw.to(device) for draw in (rows, shifts, flips))
        for batch in range(skip, batches_per_epoch(split, batch_size)):
            drawn = slice(batch * batch_size, (batch + 1) * batch_size)
            images = split.images[rows[drawn]]
            if augment:
                images = _crop_and_flip(images, shifts[:, drawn], flips[drawn])
            yield _normalised(images, split), split.labels[rows[drawn]]
        skip = 0


def evaluation_batches(split: Split, batch_size: int) -> Iterator[Batch]:
    """Yield every image of the split once, in order, as `batches` does but without augmentation."""
    for start in range(0, len(split), batch_size):
        chosen = slice(start, start + batch_size)
        yield _normalised(split.images[chosen], split), split.labels[chosen]


def class_balanced_batch(data: Data, per_class: int, seed: int) -> Batch:
    """Return `per_class` training images of every class, class by class, as one batch: a function of `seed` alone.

    No augmentation. Raises `InputError` when a class has fewer training images than that.
    """
    if per_class < 1:
        raise InputError(f"per_class must be at least 1, but got {per_class}.")
    train = data.splits["train"]
    labels = train.labels.cpu().numpy()
    generator = np.random.default_rng(seed)
    chosen = []
    for label in range(data.task.classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < per_class:
            raise InputError(
                f"{data.name}: a batch of {per_class} images per class was asked for, but class {label} has "
                f"{len(rows)} in the training split; ask for fewer."
            )
        chosen.append(generator.choice(rows, per_class, replace=False))
    rows = torch.from_numpy(np.concatenate(chosen)).to(train.images.device)
    return _normalised(train.images[rows], train), train.labels[rows]


def _normalised(images: torch.Tensor, split: Split) -> torch.Tensor:
    scale = 1 / (255 * split.std)
    shift = -split.mean / split.std
    return images.float().mul_(scale[:, None, None]).add_(shift[:, None, None])


def _crop_and_flip(images: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crop each image at its own shift (2, B) out of its padded self and flip those of `flips` (B,), in one gather."""
    count, channels, height, width = images.shape
    padded = torch.nn.functional.pad(images, [CROP_PADDING] * 4)
    rows = shifts[0][:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(count, width)
    columns = shifts[1][:, None] + torch.where(flips[:, None], width - 1 - columns, columns)
    image = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
