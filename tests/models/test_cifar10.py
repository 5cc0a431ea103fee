import pickle

import pytest
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.errors import InputError
from torchvision.datasets import CIFAR10


def test_the_pickled_batches_are_read_and_a_tenth_becomes_validation(cifar10_root):
    data = load("cifar10")
    assert data.task == Task(3, 32, 10) and data.augment == "crop-and-flip"
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [18] * 10, "val": [2] * 10, "test": [4] * 10}


def test_pixels_keep_their_place(cifar10_root):
    raw = pickle.loads((cifar10_root / CIFAR10.base_folder / "test_batch").read_bytes())
    images = load("cifar10").splits["test"].images
    # As documented: 1,024 bytes each of red, green and blue, row by row.
    assert torch.equal(images, torch.from_numpy(raw["data"].reshape(-1, 3, 32, 32)))


def test_the_splits_are_the_same_each_time(cifar10_root):
    first, second = load("cifar10", seed=1), load("cifar10", seed=2)
    assert torch.equal(first.splits["val"].images, second.splits["val"].images)


def test_missing_files_say_where_to_put_them(cifar10_root, monkeypatch, tmp_path):
    empty = tmp_path / "empty"
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(empty))
    with pytest.raises(InputError) as caught:
        load("cifar10")
    message = str(caught.value)
    assert str(empty) in message and CIFAR10.base_folder in message and "FULLSPECTRUM_DATA" in message
    assert "\n" not in message


def test_damaged_files_are_never_unpickled(cifar10_root):
    with (cifar10_root / CIFAR10.base_folder / "data_batch_3").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="damaged"):
        load("cifar10")


def test_the_folder_data_of_the_working_directory_is_the_default(cifar10_root, monkeypatch):
    monkeypatch.delenv("FULLSPECTRUM_DATA")
    (cifar10_root / "data").mkdir()
    (cifar10_root / CIFAR10.base_folder).rename(cifar10_root / "data" / CIFAR10.base_folder)
    monkeypatch.chdir(cifar10_root)
    assert len(load("cifar10").splits["test"]) == 40
