"""Augmentation of training images: crops and flips, as functions of random draws alone."""

import math

import numpy as np
import torch

from .errors import InputError, nearest

#: Digits and letters are cropped only: the mirror image of one is another, or none.
AUGMENTATIONS = ("crop", "crop-and-flip")

#: Black pixels added on each side before the random crop (He et al. 2016, section 4.2).
CROP_PADDING = 4

#: Left, top, right and bottom of a part of an image, in pixels.
Box = tuple[float, float, float, float]


def augmentation(value: bool | str | None) -> str | None:
    """Return the augmentation that `value` asks for: True is crop-and-flip, False and None are none.

    Raises `InputError` for anything but these and a name of `AUGMENTATIONS`.
    """
    named = {None: None, False: None, True: "crop-and-flip"} | {name: name for name in AUGMENTATIONS}
    try:
        return named[value]
    except (KeyError, TypeError):
        raise InputError(
            f"augment must be true, false, {' or '.join(AUGMENTATIONS)}, "
            f"but is {value!r}{nearest(str(value), AUGMENTATIONS)}"
        ) from None


def crop_and_flip(images: torch.Tensor, shifts: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crop each image (B, C, H, W) at its own shift (2, B) out of its padded self, and flip those of `flips` (B,).

    Shifts are rows and columns from 0 to 2 `CROP_PADDING`.
    """
    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, [CROP_PADDING] * 4)
    # Views of every window of the image and of its mirror image: one index picks whole windows, which is several times
    # faster than an index for each pixel.
    windows = torch.stack([padded, padded.flip(3)]).unfold(3, height, 1).unfold(4, width, 1)
    columns = torch.where(flips, 2 * CROP_PADDING - shifts[1], shifts[1])
    return windows[flips.long(), torch.arange(len(images), device=images.device), :, shifts[0], columns]


def centre_box(width: int, height: int, margin: float = 1.0) -> Box:
    """Return the square in the middle of an image whose side is the image's shorter one divided by `margin`."""
    side = min(width, height) / margin
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_box(width: int, height: int, generator: np.random.Generator) -> Box:
    """Draw a part of 8 to 100 % of an image's area with an aspect ratio of 3/4 to 4/3 (Szegedy et al. 2015, section 6).

    Where ten draws do not fit into the image, it is the largest such part in the middle.
    """
    for _ in range(10):
        area = width * height * generator.uniform(0.08, 1)
        ratio = math.exp(generator.uniform(-math.log(4 / 3), math.log(4 / 3)))
        wide, high = math.sqrt(area * ratio), math.sqrt(area / ratio)
        left, top = generator.random(2) * (width - wide, height - high)
        if wide <= width and high <= height:
            break
    else:
        wide, high = min(width, height * 4 / 3), min(height, width * 4 / 3)
        left, top = (width - wide) / 2, (height - high) / 2
    # A sum may exceed the border by a rounding error.
    return left, top, min(left + wide, width), min(top + high, height)
