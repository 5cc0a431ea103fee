from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from fullspectrum.models.augmentation import CROP_PADDING
from fullspectrum.models.batches import batches_per_epoch, few_images
from fullspectrum.models.data import Data, batches, class_balanced_batch, evaluation_batches
from fullspectrum.models.errors import InputError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def natural() -> Data:
    """64 images of 32 pixels whose every pixel tells its place."""
    rows, columns = np.mgrid[0:32, 0:32]
    image = np.stack([rows * 7 + 1, columns * 7 + 1, rows + columns + 1]).astype(np.uint8)
    part = (np.broadcast_to(image, (64, 3, 32, 32)).copy(), np.arange(64) % 2)
    return Data.from_arrays("natural", {"train": part, "val": part, "test": part}, augment=True)


def test_an_epoch_is_a_permutation_without_its_partial_batch(digits):
    train = digits.splits["train"]
    assert batches_per_epoch(train, 100) == 10
    epoch = torch.cat([images for images, _ in islice(batches(train, 100, generator(), False), 10)])
    order = torch.randperm(1079, generator=generator())[:1000]
    expected = (train.images[order] / 255 - digits.mean) / digits.std
    torch.testing.assert_close(epoch, expected)


def test_every_epoch_has_an_order_of_its_own(digits):
    labels = [labels for _, labels in islice(batches(digits.splits["train"], 1079, generator(), False), 2)]
    assert not torch.equal(*labels) and torch.equal(labels[0].sort()[0], labels[1].sort()[0])


def test_a_split_smaller_than_a_batch_is_one_batch(digits):
    val = digits.splits["val"]
    assert [len(labels) for _, labels in islice(batches(val, 1000, generator(), False), 2)] == [359, 359]


def test_batches_are_a_function_of_the_generator(natural):
    first, again, other = (next(batches(natural.splits["train"], 16, generator(s), True))[0] for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_skipping_goes_on_where_the_epoch_was_left(natural):
    train = natural.splits["train"]
    whole = list(islice(batches(train, 16, generator(), True), 6))
    rest = list(islice(batches(train, 16, generator(), True, skip=3), 3))
    for (images, labels), (expected, expected_labels) in zip(rest, whole[3:], strict=True):
        assert torch.equal(images, expected) and torch.equal(labels, expected_labels)


def test_augmented_images_are_crops_of_the_padded_image_and_half_are_flipped(natural):
    train = natural.splits["train"]
    drawn = torch.cat([images for images, _ in islice(batches(train, 64, generator(), True), 20)])
    pixels = (drawn * natural.std[:, None, None] + natural.mean[:, None, None]).mul(255).round().to(torch.uint8)
    padded = torch.nn.functional.pad(train.images[0], [CROP_PADDING] * 4)
    crops = {}
    for top in range(2 * CROP_PADDING + 1):
        for left in range(2 * CROP_PADDING + 1):
            crop = padded[:, top : top + 32, left : left + 32]
            crops[crop.numpy().tobytes()] = False
            crops[crop.flip(2).contiguous().numpy().tobytes()] = True
    flipped = [crops[image.numpy().tobytes()] for image in pixels]
    # Binomial(1280, 1/2) has standard deviation 17.9: 6 of them allowed.
    assert abs(sum(flipped) - 640) < 6 * 17.9
    # Of 162 outcomes each is missed by 1280 draws with probability 4e-4: fewer than 5 missed, by Poisson, but for 1e-8.
    assert len({image.numpy().tobytes() for image in pixels}) > 157


def test_what_is_only_cropped_is_never_flipped(natural):
    train = natural.splits["train"]
    drawn = torch.cat([images for images, _ in islice(batches(train, 64, generator(), "crop"), 4)])
    pixels = (drawn * natural.std[:, None, None] + natural.mean[:, None, None]).mul(255).round()
    # The middle lies in every crop, and its second channel grows from left to right.
    assert (pixels[:, 1, 16, 8:24].diff() > 0).all()


def test_every_pixel_of_an_augmented_image_is_the_one_that_its_draws_choose():
    values = np.random.default_rng(0)
    part = (values.integers(0, 256, (40, 2, 32, 32), dtype=np.uint8), np.arange(40) % 2)
    data = Data.from_arrays("noise", {"train": part, "val": part, "test": part}, augment=True)
    images, labels = next(batches(data.splits["train"], 40, generator(5), True))
    # Drawn in this order, for ever: published accuracies depend on it.
    again = generator(5)
    rows = torch.randperm(40, generator=again)
    shifts = torch.randint(2 * CROP_PADDING + 1, (2, 40), generator=again)
    flips = torch.randint(2, (40,), generator=again)
    padded = np.pad(part[0], [(0, 0), (0, 0), (CROP_PADDING,) * 2, (CROP_PADDING,) * 2])
    for i, (row, top, left, flip) in enumerate(zip(rows, *shifts, flips, strict=True)):
        crop = padded[row, :, top : top + 32, left : left + 32]
        expected = torch.from_numpy((crop[:, :, ::-1] if flip else crop).copy())
        ours = (images[i] * data.std[:, None, None] + data.mean[:, None, None]).mul(255).round()
        assert torch.equal(ours.to(torch.uint8), expected) and labels[i] == row % 2


def test_evaluation_sees_every_image_once_in_order(digits):
    val = digits.splits["val"]
    seen = list(evaluation_batches(val, 100))
    assert [len(labels) for _, labels in seen] == [100, 100, 100, 59]
    assert torch.equal(torch.cat([labels for _, labels in seen]), val.labels)
    expected = (val.images / 255 - digits.mean) / digits.std
    torch.testing.assert_close(torch.cat([images for images, _ in seen]), expected)


def test_a_class_balanced_batch_has_as_many_of_every_class_and_each_image_once(digits):
    images, labels = class_balanced_batch(digits, 5, seed=3)
    assert labels.tolist() == [label for label in range(10) for _ in range(5)]
    assert len(images.flatten(1).unique(dim=0)) == 50
    again, other = (class_balanced_batch(digits, 5, seed=seed)[0] for seed in (3, 4))
    assert torch.equal(images, again) and not torch.equal(images, other)


def test_a_class_balanced_batch_comes_from_the_training_split(digits):
    images, _ = class_balanced_batch(digits, 50, seed=0)
    pixels = (images * digits.std + digits.mean).mul(255).round().to(torch.uint8)
    train = {image.numpy().tobytes() for image in digits.splits["train"].images}
    assert all(image.numpy().tobytes() in train for image in pixels)


@pytest.mark.parametrize(
    ("per_class", "message"),
    [(0, "at least 1"), (1000, r"class 8 has 104 in the training split; ask for fewer: per_class = 104 at most")],
)
def test_impossible_class_balanced_batches_are_refused(digits, per_class, message):
    with pytest.raises(InputError, match=message):
        class_balanced_batch(digits, per_class, seed=0)


def test_a_class_without_images_is_one_that_was_not_numbered_from_0(digits):
    train = digits.splits["train"]
    gap = replace(digits, splits=digits.splits | {"train": train.at((train.labels != 0).nonzero()[:, 0])})
    with pytest.raises(
        InputError, match="class 0 has 0 in the training split; number the classes from 0, without gaps"
    ):
        class_balanced_batch(gap, 1, seed=0)


def test_a_few_images_are_spread_over_the_split(digits):
    images, labels = few_images(digits.splits["val"], 4)
    assert len(images) == 4 and images.dtype == torch.float32
    assert labels.tolist() == digits.splits["val"].labels[[0, 119, 238, 358]].tolist()
    assert len(few_images(digits.splits["val"], 10_000)[1]) == 359
