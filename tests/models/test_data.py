import pickle
from collections import UserDict

import numpy as np
import pytest
import torch
from fullspectrum.models import dataset
from fullspectrum.models.data import Data, Split, Task, load
from fullspectrum.models.dataset import channel_statistics
from fullspectrum.models.errors import InputError
from fullspectrum.models.stratify import holdout


def arrays(count: int = 20, size: int = 4, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    images = np.random.default_rng(count).integers(0, 256, (count, channels, size, size), dtype=np.uint8)
    return images, np.arange(count) % 2


def test_digits_are_split_by_class_and_every_image_stands_in_one_split(digits):
    assert digits.task == Task(1, 8, 10) and not digits.augment
    assert {name: len(split) for name, split in digits.splits.items()} == {"train": 1079, "val": 359, "test": 359}
    whole = torch.stack([split.labels.bincount(minlength=10) for split in digits.splits.values()])
    shares = whole / whole.sum(dim=0)
    # Each class has at least 174 images; rounding moves a share by half an image, twice for validation.
    assert (shares - torch.tensor([[0.6], [0.2], [0.2]])).abs().max() < 1 / 174
    from sklearn.datasets import load_digits

    ours = torch.cat([split.images.flatten(1) for split in digits.splits.values()]).numpy()
    theirs = np.rint(load_digits().data * 255 / 16).astype(np.uint8)
    assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))


def test_the_splits_do_not_depend_on_the_seed(digits):
    other = load("digits", seed=7)
    assert all(torch.equal(other.splits[name].images, split.images) for name, split in digits.splits.items())


def test_mean_and_std_are_those_of_the_training_split(digits):
    pixels = digits.splits["train"].images.numpy() / 255
    assert abs(digits.mean.item() - pixels.mean()) < 1e-6 and abs(digits.std.item() - pixels.std()) < 1e-6


@pytest.mark.parametrize("pixels", [1, 3 * 16, 2**24])
def test_mean_and_std_do_not_depend_on_how_many_pixels_are_summed_up_together(pixels, monkeypatch):
    images = torch.from_numpy(arrays(20, 4, 3)[0])
    monkeypatch.setattr(dataset, "STATISTICS_PIXELS", pixels)
    mean, std = channel_statistics(images)
    values = images.double() / 255
    torch.testing.assert_close(mean, values.mean(dim=(0, 2, 3)).float(), rtol=0, atol=0)
    torch.testing.assert_close(std, values.std(dim=(0, 2, 3), correction=0).float())


def test_a_constant_channel_gets_one_grey_level_as_std():
    images = np.zeros((4, 1, 2, 2), dtype=np.uint8)
    data = Data.from_arrays("black", {"train": (images, [0, 1, 0, 1]), "test": (images, [0, 1, 0, 1])})
    assert data.std.item() == np.float32(1 / 255)


def test_data_survive_pickling_and_moving(digits):
    for copy in (pickle.loads(pickle.dumps(digits)), digits.to("cpu")):
        assert copy.task == digits.task and torch.equal(copy.splits["val"].images, digits.splits["val"].images)
        assert torch.equal(copy.splits["val"].mean, digits.mean)


def test_without_validation_a_tenth_of_every_class_becomes_it():
    data = Data.from_arrays("toy", {"train": arrays(40), "test": arrays(10)})
    assert data.splits["val"].labels.bincount().tolist() == [2, 2]
    assert data.splits["train"].labels.bincount().tolist() == [18, 18]


def test_a_holdout_takes_part_of_every_class_and_never_all_of_it():
    labels = np.array([0] * 100 + [1] * 2)
    kept, held = holdout("toy", labels, 0.1)
    assert np.array_equal(np.sort(np.concatenate([kept, held])), np.arange(102))
    assert np.bincount(labels[held]).tolist() == [10, 1]
    with pytest.raises(InputError, match="class 1 has one image"):
        holdout("toy", labels[:101], 0.1)


def test_images_without_a_channel_axis_get_one():
    images, labels = arrays()
    assert Data.from_arrays("toy", {"train": (images[:, 0], labels), "test": (images, labels)}).task == Task(1, 4, 2)


IMAGES, LABELS = arrays()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ((IMAGES / 255, LABELS), "must be uint8"),
        ((IMAGES.repeat(2, axis=3), LABELS), "must be uint8"),
        ((IMAGES[:5], LABELS), "must be uint8"),
        ((IMAGES, LABELS / 2), "labels must be integers"),
        ((IMAGES, LABELS[:, None]), "labels must be integers"),
        ((IMAGES, LABELS - 1), "one is -1"),
        (IMAGES, r"must be \(images, labels\)"),
        ((IMAGES, LABELS + 1), "toy: the labels of the training images go from 1 to 2; number the classes from 0"),
        ((IMAGES, LABELS * 0), "toy: classes must be an integer of at least 2"),
        ((IMAGES, LABELS * 20), "no more than the 20 training images, but the largest label is 20"),
        ((IMAGES, LABELS + 0j), "labels must be integers"),
        ((IMAGES, ["cat", "dog"] * 10), "labels must be an array of numbers"),
        (([[1], [1, 2]], LABELS), "images must be an array of numbers"),
        ((IMAGES, np.array([None] * 20)), "labels must be an array of numbers"),
        ((IMAGES[:, :, 0, 0], LABELS), "must be uint8"),
        ((IMAGES[:0], LABELS[:0]), "empty"),
    ],
)
def test_arrays_that_are_no_labelled_images_are_refused_in_one_line(train, message):
    with pytest.raises(InputError, match=f"^.*{message}.*$"):
        Data.from_arrays("toy", {"train": train, "val": (IMAGES, LABELS), "test": (IMAGES, LABELS)})


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32, np.uint64, np.int8])
def test_labels_are_integers_of_any_width(kind):
    data = Data.from_arrays("toy", {"train": (IMAGES, LABELS.astype(kind)), "test": (IMAGES, LABELS)})
    assert data.splits["train"].labels.bincount().tolist() == [9, 9]


@pytest.mark.filterwarnings("error")
def test_mirrored_and_read_only_images_are_taken_as_they_are():
    mirrored, locked = IMAGES[..., ::-1], np.frombuffer(IMAGES.tobytes(), dtype=np.uint8).reshape(IMAGES.shape)
    data = Data.from_arrays("toy", {"train": (IMAGES, LABELS), "val": (mirrored, LABELS), "test": (locked, LABELS)})
    assert np.array_equal(data.splits["val"].images.numpy(), mirrored)
    assert np.array_equal(data.splits["test"].images.numpy(), IMAGES)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0.5, torch.ones(1), "mean must be a tensor of one value for each channel, but is a float"),
        (torch.zeros(3), torch.ones(1), r"mean must be float32 \(1,\), but is torch.float32 \(3,\)"),
        (torch.zeros(1), torch.ones(1, dtype=torch.float64), "std must be float32"),
        (torch.zeros(1), torch.zeros(1), "std positive"),
        (torch.full((1,), torch.nan), torch.ones(1), "mean must be finite"),
    ],
)
def test_statistics_that_cannot_normalise_are_refused(mean, std, message):
    split = Split(torch.from_numpy(IMAGES), torch.from_numpy(LABELS))
    with pytest.raises(InputError, match=message):
        Data("toy", Task(1, 4, 2), dict.fromkeys(("train", "val", "test"), split), mean, std)


def test_a_test_label_that_training_has_not_seen_is_refused():
    with pytest.raises(InputError, match="test split: labels must be int64 from 0 to 1, .* number the classes from 0"):
        Data.from_arrays("toy", {"train": arrays(), "test": (IMAGES, LABELS + 1)})


@pytest.mark.parametrize("splits", [{}, {"train": arrays()}, {"train": arrays(), "test": arrays(), "dev": arrays()}])
def test_missing_and_unknown_splits_are_refused(splits):
    with pytest.raises(InputError, match="splits must be"):
        Data.from_arrays("toy", splits)


def test_small_images_cannot_be_augmented():
    with pytest.raises(InputError, match="at least 32 pixels"):
        Data.from_arrays("toy", {"train": arrays(), "test": arrays()}, augment=True)


@pytest.mark.parametrize(
    ("asked", "given"),
    [(None, None), (False, None), (True, "crop-and-flip"), ("crop", "crop"), ("crop-and-flip", "crop-and-flip")],
)
def test_augmentation_is_asked_for_by_name_or_switched_on(asked, given):
    splits = {"train": arrays(20, 32), "test": arrays(10, 32)}
    assert Data.from_arrays("toy", splits, augment=asked).augment == given


@pytest.mark.parametrize(("asked", "hint"), [("crop-and-flips", 'did you mean "crop-and-flip"'), (7, "7"), ([], "")])
def test_an_unknown_augmentation_is_refused(asked, hint):
    with pytest.raises(InputError, match=f"augment must be true, false, crop or crop-and-flip, but is .*{hint}"):
        Data.from_arrays("toy", {"train": arrays(20, 32), "test": arrays(10, 32)}, augment=asked)


USER = """
import numpy as np
from fullspectrum.models.data import Data
def dark(seed):
    images, labels = np.full((20, 1, 4, 4), seed, np.uint8), np.arange(20) % 2
    return {"train": (images, labels), "test": (images, labels)}
def ready():
    return Data.from_arrays("mine", dark(9))
def nothing():
    pass
def fails():
    raise RuntimeError("no disk\\nat all")
def outside(seed):
    images, labels = np.full((20, 1, 4, 4), seed, np.uint8), np.arange(20) % 2
    return {"train": (images, labels), "test": (images, labels + 1)}
"""


def test_a_users_function_gets_the_seed_if_it_asks_for_one(user_module):
    name = user_module(USER)
    assert load(f"{name}:dark", seed=3).splits["train"].images.unique().tolist() == [3]
    assert load(f"{name}:ready", seed=3).name == "mine"


def test_a_users_function_that_returns_no_data_is_named(user_module):
    name = user_module(USER)
    with pytest.raises(InputError, match=f'"{name}:nothing" must return a Data'):
        load(f"{name}:nothing")


def test_a_users_function_that_raises_is_named_in_one_line_with_its_own_exception_behind(user_module):
    name = user_module(USER)
    with pytest.raises(InputError) as caught:
        load(f"{name}:fails")
    assert str(caught.value) == f'"{name}:fails" failed, called with (): RuntimeError: no disk'
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_mistake_in_a_users_function_that_ours_found_ends_without_a_full_stop(user_module):
    name = user_module("from fullspectrum.models.task import Task\ndef tiny():\n    Task(1, 0, 2)")
    with pytest.raises(InputError, match=r"InputError: size must be an integer of at least 1, but got 0$"):
        load(f"{name}:tiny")


def test_a_users_labels_out_of_range_are_told_with_the_split(user_module):
    name = user_module(USER)
    with pytest.raises(InputError, match=f"{name}:outside: test split: labels must be int64 from 0 to 1"):
        load(f"{name}:outside")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digit", 'did you mean "digits"'),
        ("cifar-100", 'did you mean "cifar100"'),
        ("imagefolder:", "imagefolder:PATH"),
    ],
)
def test_unknown_data_are_refused_with_the_way_out(name, hint):
    with pytest.raises(InputError, match=hint):
        load(name)


def test_a_split_is_bound_to_the_statistics_of_its_data():
    images, labels = torch.from_numpy(IMAGES), torch.from_numpy(LABELS)
    splits = {name: Split(images, labels) for name in ("train", "val", "test")}
    data = Data("toy", Task(1, 4, 2), splits, torch.tensor([0.25]), torch.tensor([0.5]))
    assert all(split.mean is data.mean and split.std is data.std for split in data.splits.values())


@pytest.mark.parametrize("change", [lambda images: images.to("meta"), lambda images: images.to_sparse()])
def test_tensors_that_are_not_dense_are_refused(change):
    images, labels = map(torch.from_numpy, arrays())
    with pytest.raises(InputError, match="train split: images must be a dense tensor with values"):
        Data.from_arrays("mine", {"train": (change(images), labels), "test": (images, labels)})


def test_images_without_pixels_are_refused():
    images, labels = arrays()
    with pytest.raises(InputError, match="images must be uint8"):
        Data.from_arrays("mine", {split: (images[..., :0, :0], labels) for split in ("train", "test")})


class Lost:
    def __array__(self, *arguments, **options):
        raise OSError("the disk is away")


def test_an_array_that_cannot_be_read_is_refused():
    images, labels = arrays()
    with pytest.raises(InputError, match="images must be an array of numbers.*the disk is away"):
        Data.from_arrays("mine", {"train": (Lost(), labels), "test": (images, labels)})


@pytest.mark.parametrize(
    ("function", "message"), [("lost", "cannot be read.*the disk is away"), ("leaves", "SystemExit")]
)
def test_whatever_a_users_function_does_is_told(function, message):
    with pytest.raises(InputError, match=message):
        load(f"{__name__}:{function}")


class LostMapping(UserDict):
    def __getitem__(self, key):
        raise OSError("the disk is away")


def lost():
    return LostMapping(train=None)


def leaves():
    raise SystemExit(2)
