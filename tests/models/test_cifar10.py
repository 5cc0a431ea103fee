import hashlib
import pickle

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.errors import InputError
from torchvision.datasets import CIFAR10

PER_FILE = 40


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of small files in the format of the real ones, with the checksums that torchvision compares."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    generator = np.random.default_rng(0)

    def write(name: str, content: dict) -> str:
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return hashlib.md5(raw).hexdigest()

    def batch(name: str) -> list[str]:
        pixels = generator.integers(0, 256, (PER_FILE, 3072), dtype=np.uint8)
        return [name, write(name, {"data": pixels, "labels": [i % 10 for i in range(PER_FILE)]})]

    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    meta = {**CIFAR10.meta, "md5": write("batches.meta", {"label_names": [str(i) for i in range(10)]})}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    # Never the network: what is absent here cannot be downloaded.
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "absent.tar.gz").as_uri())
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    return tmp_path


def test_the_pickled_batches_are_read_and_a_tenth_becomes_validation(root):
    data = load("cifar10")
    assert data.task == Task(3, 32, 10) and data.augment
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [18] * 10, "val": [2] * 10, "test": [4] * 10}


def test_pixels_keep_their_place(root):
    raw = pickle.loads((root / CIFAR10.base_folder / "test_batch").read_bytes())
    images = load("cifar10").splits["test"].images
    # As documented: 1,024 bytes each of red, green and blue, row by row.
    assert torch.equal(images, torch.from_numpy(raw["data"].reshape(-1, 3, 32, 32)))


def test_the_splits_are_the_same_each_time(root):
    first, second = load("cifar10", seed=1), load("cifar10", seed=2)
    assert torch.equal(first.splits["val"].images, second.splits["val"].images)


def test_missing_files_say_where_to_put_them(root, monkeypatch, tmp_path):
    empty = tmp_path / "empty"
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(empty))
    with pytest.raises(InputError) as caught:
        load("cifar10")
    message = str(caught.value)
    assert str(empty) in message and CIFAR10.base_folder in message and "FULLSPECTRUM_DATA" in message
    assert "\n" not in message


def test_damaged_files_are_never_unpickled(root):
    with (root / CIFAR10.base_folder / "data_batch_3").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="damaged"):
        load("cifar10")


def test_the_folder_data_of_the_working_directory_is_the_default(root, monkeypatch):
    monkeypatch.delenv("FULLSPECTRUM_DATA")
    (root / "data").mkdir()
    (root / CIFAR10.base_folder).rename(root / "data" / CIFAR10.base_folder)
    monkeypatch.chdir(root)
    assert len(load("cifar10").splits["test"]) == PER_FILE
