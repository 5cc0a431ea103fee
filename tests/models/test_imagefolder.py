import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.datasets import imagefolder
from fullspectrum.models.errors import InputError
from PIL import Image

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


def fill(folder: Path, count: int, size: int = 8, suffix: str = "png") -> None:
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (size, size), colour).save(folder / name / f"{i:02}.{suffix}")


@pytest.fixture
def root(tmp_path) -> Path:
    fill(tmp_path / "train", 20)
    fill(tmp_path / "test", 3, suffix="jpg")
    return tmp_path


def test_images_become_splits_with_classes_numbered_by_name(root):
    data = load(f"imagefolder:{root}")
    assert data.task == Task(3, 8, 2) and not data.augment
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [18, 18], "val": [2, 2], "test": [3, 3]}
    blue, red = (data.splits["train"].images[data.splits["train"].labels == label] for label in (0, 1))
    assert torch.equal(blue.unique(dim=0)[0, :, 0, 0], torch.tensor([0, 0, 255], dtype=torch.uint8))
    assert torch.equal(red.unique(dim=0)[0, :, 0, 0], torch.tensor([255, 0, 0], dtype=torch.uint8))


def test_a_validation_folder_is_used_as_it_is(root):
    fill(root / "val", 5)
    data = load(f"imagefolder:{root}")
    assert (len(data.splits["train"]), len(data.splits["val"])) == (40, 10)


def test_natural_images_of_32_pixels_are_augmented(tmp_path):
    fill(tmp_path / "train", 2, size=32)
    fill(tmp_path / "test", 1, size=32)
    assert load(f"imagefolder:{tmp_path}").augment


def test_grey_and_transparent_images_become_rgb(root):
    Image.fromarray(np.full((8, 8), 7, dtype=np.uint8)).save(root / "test" / "red" / "00.jpg")
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(root / "test" / "red" / "zz.png")
    images = load(f"imagefolder:{root}").splits["test"].images
    assert images[3, :, 0, 0].tolist() == [7, 7, 7] and images[-1, :, 0, 0].tolist() == [1, 2, 3]


def test_hidden_folders_and_other_files_are_passed_over(root):
    (root / "train" / ".cache").mkdir()
    (root / "train" / "red" / "notes.txt").write_text("not an image")
    assert load(f"imagefolder:{root}").task.classes == 2


def test_a_broken_image_is_named(root):
    broken = root / "train" / "red" / "07.png"
    broken.write_bytes(b"not an image")
    with pytest.raises(InputError, match=r"red/07\.png: not a readable image"):
        load(f"imagefolder:{root}")


def test_a_truncated_image_is_named(root):
    path = root / "train" / "red" / "07.png"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"red/07\.png: broken image"):
        load(f"imagefolder:{root}")


def test_an_image_of_another_size_is_named_with_both_sizes(root):
    Image.new("RGB", (9, 8)).save(root / "test" / "red" / "01.jpg")
    with pytest.raises(InputError, match=r"red/01\.jpg: is 9 x 8 pixels, the first image 8 x 8"):
        load(f"imagefolder:{root}")


def test_images_that_are_not_square_are_refused(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split, 2)
        for name in COLOURS:
            Image.new("RGB", (8, 6)).save(tmp_path / split / name / "00.png")
    with pytest.raises(InputError, match="8 x 6 pixels; images must be square"):
        load(f"imagefolder:{tmp_path}")


def test_images_that_would_fill_the_memory_are_refused_before_they_are_read(root, monkeypatch):
    monkeypatch.setattr(imagefolder, "MEMORY_LIMIT", 46 * 3 * 8 * 8 - 1)
    with pytest.raises(InputError, match="GiB of memory"):
        load(f"imagefolder:{root}")


def test_classes_that_differ_between_splits_are_listed(root):
    (root / "test" / "red").rename(root / "test" / "green")
    with pytest.raises(InputError, match="train and test differ in green, red"):
        load(f"imagefolder:{root}")


def test_a_single_class_is_refused(root):
    for split in ("train", "test"):
        shutil.rmtree(root / split / "red")
    with pytest.raises(InputError, match="one class blue"):
        load(f"imagefolder:{root}")


def test_an_empty_class_is_named(root):
    (root / "train" / "green").mkdir()
    with pytest.raises(InputError, match="no images in green"):
        load(f"imagefolder:{root}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_missing_and_empty_splits_are_named(root, split):
    shutil.rmtree(root / split)
    with pytest.raises(InputError, match=f"{split}: no such folder"):
        load(f"imagefolder:{root}")
    (root / split).mkdir()
    with pytest.raises(InputError, match=f"{split}: has no folders"):
        load(f"imagefolder:{root}")
