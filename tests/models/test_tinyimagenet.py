from pathlib import Path

import pytest
from fullspectrum.models.data import Task, load
from fullspectrum.models.errors import InputError
from PIL import Image

SHADES = {"n01443537": 60, "n01629819": 120, "n01641577": 180}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A folder as the official archive unpacks, with three classes and one grey image, as there are many."""
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "tiny-imagenet-200"
    for name, shade in SHADES.items():
        (folder / "train" / name / "images").mkdir(parents=True)
        for i in range(10):
            image = Image.new("L" if i == 3 else "RGB", (64, 64), shade if i == 3 else (shade,) * 3)
            image.save(folder / "train" / name / "images" / f"{name}_{i}.JPEG")
        (folder / "train" / name / f"{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t10\t63\t58\n")
    (folder / "val" / "images").mkdir(parents=True)
    lines = []
    for i, name in enumerate(reversed(SHADES)):
        Image.new("RGB", (64, 64), (SHADES[name],) * 3).save(folder / "val" / "images" / f"val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{name}\t0\t32\t44\t62\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(lines))
    (folder / "wnids.txt").write_text("\n".join(reversed(SHADES)))
    return folder


def test_the_official_validation_images_are_the_test_split(root):
    data = load("tiny-imagenet")
    assert data.task == Task(3, 64, 3) and data.augment == "crop-and-flip"
    counts = {name: split.labels.bincount().tolist() for name, split in data.splits.items()}
    assert counts == {"train": [9] * 3, "val": [1] * 3, "test": [1] * 3}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_labels_stay_with_their_images(root, split):
    part = load("tiny-imagenet").splits[split]
    shades = [list(SHADES.values())[label] for label in part.labels]
    # JPEG keeps a uniform grey but for rounding.
    assert part.images.float().mean(dim=(1, 2, 3)).tolist() == pytest.approx(shades, abs=1)


def test_a_missing_folder_says_what_to_unpack_where(monkeypatch, tmp_path):
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    with pytest.raises(
        InputError, match=f"there is no {tmp_path}/tiny-imagenet-200.*tiny-imagenet-200.zip.*FULLSPECTRUM"
    ):
        load("tiny-imagenet")


@pytest.mark.parametrize("content", ["val_0.JPEG n01443537\n", "\tn01443537\n", "\n"])
def test_annotations_of_another_format_are_named_with_the_line(root, content):
    (root / "val" / "val_annotations.txt").write_text("val_1.JPEG\tn01443537\t0\t0\t1\t1\n" + content)
    with pytest.raises(InputError, match="val_annotations.txt: line 2"):
        load("tiny-imagenet")


def test_missing_annotations_images_and_classes_are_named(root):
    (root / "val" / "images" / "val_1.JPEG").unlink()
    with pytest.raises(InputError, match=r"val_1\.JPEG: cannot be read"):
        load("tiny-imagenet")
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn01443537\t0\t0\t1\t1\n")
    with pytest.raises(InputError, match="classes of train and test differ in n01629819, n01641577"):
        load("tiny-imagenet")
    (root / "val" / "val_annotations.txt").unlink()
    with pytest.raises(InputError, match="val_annotations.txt: cannot be read"):
        load("tiny-imagenet")
