"""Data sets that a user may name: a function each, of stripes of 12 x 12 pixels that are odd in one way."""

from collections import OrderedDict, UserDict
from types import MappingProxyType

import numpy as np
import torch
from fullspectrum.models.data import Data

COUNTS = {"train": 48, "val": 12, "test": 12}


def _split(seed, count, classes=2, channels=1, size=12):
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.integers(0, 100, (count, channels, size, size))
    images[labels == 1, :, 1::2] += 100
    return images.astype(np.uint8), labels


def _splits(**shape):
    return {split: _split(seed, count, **shape) for seed, (split, count) in enumerate(COUNTS.items())}


def stripes(seed):
    return _splits()


def _of(change, *where, **shape):
    """Return a data set function whose splits `where` (or all) hold what `change` makes of images and labels."""

    def make():
        splits = _splits(**shape)
        return {split: change(*pair) if not where or split in where else pair for split, pair in splits.items()}

    return make


# What the images are.
floats = _of(lambda images, labels: (images / 255, labels))
halves = _of(lambda images, labels: (torch.from_numpy(images).half(), labels))
signed = _of(lambda images, labels: (images.astype(np.int8), labels))
wide = _of(lambda images, labels: (images.astype(np.int64), labels))
booleans = _of(lambda images, labels: (images > 50, labels))
nan_images = _of(lambda images, labels: (images * float("nan"), labels))
objects = _of(lambda images, labels: (images.astype(object), labels))
strings = _of(lambda images, labels: (images.astype(str), labels))
lists = _of(lambda images, labels: (images.tolist(), labels.tolist()))
ragged = _of(lambda images, labels: ([image[: 1 + row % 2] for row, image in enumerate(images)], labels))
tensors = _of(lambda images, labels: (torch.from_numpy(images), torch.from_numpy(labels)))
with_gradients = _of(lambda images, labels: (torch.from_numpy(images).float().requires_grad_(), labels))
on_meta = _of(lambda images, labels: (torch.from_numpy(images).to("meta"), labels))
sparse = _of(lambda images, labels: (torch.from_numpy(images).to_sparse(), labels))
masked = _of(lambda images, labels: (np.ma.masked_greater(images, 90), labels))
big_endian = _of(lambda images, labels: (images, labels.astype(">i8")))
mirrored = _of(lambda images, labels: (images[:, :, ::-1, ::-1], labels[::-1]))
channels_last = _of(lambda images, labels: (images.transpose(0, 2, 3, 1), labels))
without_channels = _of(lambda images, labels: (images[:, 0], labels))
flat = _of(lambda images, labels: (images.reshape(len(images), -1), labels))
not_square = _of(lambda images, labels: (images[:, :, :5], labels))
of_one_pixel = _of(lambda images, labels: (images[:, :, :1, :1], labels))
of_no_pixels = _of(lambda images, labels: (images[:, :, :0, :0], labels))
of_no_channels = _of(lambda images, labels: (images[:, :0], labels))
black = _of(lambda images, labels: (images * 0, labels))
of_seven_channels = _of(lambda images, labels: (images, labels), channels=7)
other_size_in_test = _of(lambda images, labels: (images[:, :, :6, :6], labels), "test")
other_channels_in_val = _of(lambda images, labels: (np.repeat(images, 3, 1), labels), "val")


def _read_only(images, labels):
    images.flags.writeable = labels.flags.writeable = False
    return images, labels


read_only = _of(_read_only)

# What the labels are.
labels_from_one = _of(lambda images, labels: (images, labels + 1))
labels_from_minus_one = _of(lambda images, labels: (images, labels - 1))
labels_with_gaps = _of(lambda images, labels: (images, labels * 7))
huge_labels = _of(lambda images, labels: (images, labels * 2**40))
unsigned_labels = _of(lambda images, labels: (images, labels.astype(np.uint64)))
float_labels = _of(lambda images, labels: (images, labels.astype(float)))
boolean_labels = _of(lambda images, labels: (images, labels > 0))
string_labels = _of(lambda images, labels: (images, labels.astype(str)))
one_hot = _of(lambda images, labels: (images, np.eye(2)[labels]))
column_labels = _of(lambda images, labels: (images, labels[:, None]))
one_class = _of(lambda images, labels: (images, labels * 0))
new_class_in_test = _of(lambda images, labels: (images, labels + 5), "test")
too_few_labels = _of(lambda images, labels: (images, labels[:-1]))
no_labels = _of(lambda images, labels: (images, None))
scalar_labels = _of(lambda images, labels: (images, 1))
missing_in_val = _of(lambda images, labels: (images[labels == 0], labels[labels == 0]), "val")
a_class_of_one_image = _of(lambda images, labels: (images, np.where(np.arange(len(labels)) == 0, 1, 0)), "train")
a_class_an_image = _of(lambda images, labels: (images, np.arange(len(labels))))

# How many there are.
one_image = _of(lambda images, labels: (images[:1], labels[:1]), "train")
two_images = _of(lambda images, labels: (images[:2], labels[:2]))
one_in_val = _of(lambda images, labels: (images[:1], labels[:1]), "val")
no_images = _of(lambda images, labels: (images[:0], labels[:0]))
empty_test = _of(lambda images, labels: (images[:0], labels[:0]), "test")


# What the splits are.
def without_val():
    splits = _splits()
    del splits["val"]
    return splits


def without_val_of_one_each():
    images, labels = _split(0, 2)
    return {"train": (images, labels), "test": (images, labels)}


def without_test():
    return {"train": _split(0, 48)}


def wrong_names():
    return {"training": _split(0, 48), "testing": _split(1, 12)}


def other_keys():
    return {**_splits(), 3: None}


def triples():
    return {split: (*pair, "name") for split, pair in _splits().items()}


def dictionaries():
    return {split: {"images": images, "labels": labels} for split, (images, labels) in _splits().items()}


def datasets_of_torch():
    return {split: torch.utils.data.TensorDataset(*map(torch.from_numpy, pair)) for split, pair in _splits().items()}


def loaders():
    return {split: torch.utils.data.DataLoader([1, 2]) for split in COUNTS}


def a_tuple():
    return tuple(_splits().values())


def a_generator():
    yield from _splits().items()


def nothing():
    return None


def an_array():
    return _split(0, 48)[0]


def an_empty_mapping():
    return {}


def other_mapping():
    return MappingProxyType(OrderedDict(_splits()))


class _Failing(UserDict):
    def __getitem__(self, key):
        raise LookupError(f"{key} is on another disk")


def failing_mapping():
    return _Failing(_splits())


class _FailingArray:
    def __array__(self, *arguments, **options):
        raise OSError("the file has gone\nfor good")


def failing_arrays():
    return {split: (_FailingArray(), labels) for split, (_, labels) in _splits().items()}


def raises(seed):
    raise FileNotFoundError(2, "No such file or directory", "train.npy")


def exits():
    raise SystemExit("no data")


def needs_arguments(path, seed):
    return _splits()


def any_arguments(*arguments, **options):
    return _splits()


def warns():
    np.float64(1) / np.float64(0)
    return _splits()


def data_of_ten_classes():
    return Data.from_arrays("mine", _splits(), classes=10)


def data_of_one_class():
    return Data.from_arrays("mine", _splits(), classes=1)


def data_augmented():
    return Data.from_arrays("mine", _splits(), augment=True)


def data_augmented_oddly():
    return Data.from_arrays("mine", _splits(size=32), augment="rotate")


def data_named_oddly():
    return Data.from_arrays("größe\n[bold]", _splits())


class _Callable:
    def __call__(self, seed=0):
        return _splits()


a_callable = _Callable()
a_class = _Callable
a_builtin = dict
a_constant = 7
