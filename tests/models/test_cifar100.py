import hashlib
import pickle

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.errors import InputError
from torchvision.datasets import CIFAR100


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Small files in the format of the real ones, with the checksums that torchvision compares."""
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    generator = np.random.default_rng(0)

    def write(name: str, content: dict) -> list[str]:
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw).hexdigest()]

    def part(name: str, count: int) -> list[str]:
        pixels = generator.integers(0, 256, (count, 3072), dtype=np.uint8)
        fine = [i % 100 for i in range(count)]
        return write(name, {"data": pixels, "fine_labels": fine, "coarse_labels": [label // 5 for label in fine]})

    monkeypatch.setattr(CIFAR100, "train_list", [part("train", 1000)])
    monkeypatch.setattr(CIFAR100, "test_list", [part("test", 200)])
    names = write("meta", {"fine_label_names": [str(i) for i in range(100)]})
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": names[1]})
    # Never the network: what is absent here cannot be downloaded.
    monkeypatch.setattr(CIFAR100, "url", (tmp_path / "absent.tar.gz").as_uri())
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    return tmp_path


def test_the_fine_classes_are_read_and_a_tenth_becomes_validation(root):
    data = load("cifar100")
    assert data.name == "cifar100" and data.task == Task(3, 32, 100) and data.augment == "crop-and-flip"
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [9] * 100, "val": [1] * 100, "test": [2] * 100}


def test_pixels_keep_their_place(root):
    raw = pickle.loads((root / CIFAR100.base_folder / "test").read_bytes())
    images = load("cifar100").splits["test"].images
    # As documented: 1,024 bytes each of red, green and blue, row by row.
    assert torch.equal(images, torch.from_numpy(raw["data"].reshape(-1, 3, 32, 32)))


def test_missing_files_say_where_to_put_them(root, monkeypatch, tmp_path):
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path / "empty"))
    with pytest.raises(
        InputError, match="cifar100: not found in .*empty.*cifar-100-python.*FULLSPECTRUM_DATA"
    ) as caught:
        load("cifar100")
    assert "\n" not in str(caught.value)
