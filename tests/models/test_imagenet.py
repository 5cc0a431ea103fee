from pathlib import Path

import pytest
import torch
from fullspectrum.models.data import Task, batches, evaluation_batches, load
from fullspectrum.models.errors import InputError
from fullspectrum.models.imagefiles import ImageFiles
from PIL import Image


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    for split, count in (("train", 5), ("val", 2)):
        for name, shade in (("n01440764", 50), ("n01443537", 200)):
            (tmp_path / "imagenet" / split / name).mkdir(parents=True)
            for i in range(count):
                image = Image.new("RGB", (100 + 20 * i, 90), (shade,) * 3)
                image.save(tmp_path / "imagenet" / split / name / f"{name}_{i}.JPEG")
    return tmp_path / "imagenet"


def test_photographs_of_any_size_become_224_pixels_and_stay_files(root):
    data = load("imagenet")
    assert data.task == Task(3, 224, 2) and data.augment == "crop-and-flip"
    assert all(isinstance(split.images, ImageFiles) for split in data.splits.values())
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 8, "val": 2, "test": 4}


def test_training_and_evaluation_see_the_images_of_their_labels(root):
    data = load("imagenet")
    shades = torch.tensor([50.0, 200.0])
    train = next(batches(data.splits["train"], 8, torch.Generator().manual_seed(0), data.augment))
    (test,) = evaluation_batches(data.splits["test"], 8)
    for images, labels in (train, test):
        pixels = (images * data.std[:, None, None] + data.mean[:, None, None]) * 255
        # JPEG keeps a uniform grey but for rounding.
        torch.testing.assert_close(pixels.mean(dim=(1, 2, 3)), shades[labels], atol=1, rtol=0)


def test_pixels_are_normalised_as_published_weights_expect(root):
    data = load("imagenet")
    assert data.mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert data.std.tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_a_missing_folder_says_what_to_unpack_where(monkeypatch, tmp_path):
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    with pytest.raises(
        InputError, match=f"there is no {tmp_path}/imagenet.*ILSVRC2012_img_train.tar.*FULLSPECTRUM_DATA"
    ):
        load("imagenet")


def test_validation_images_that_are_not_in_class_folders_are_told(root):
    for folder in (root / "val").iterdir():
        for file in folder.iterdir():
            file.rename(root / "val" / file.name)
        folder.rmdir()
    with pytest.raises(InputError, match="val: has no folders; each class is a folder of its own"):
        load("imagenet")
