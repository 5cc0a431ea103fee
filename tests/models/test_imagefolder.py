import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Task, load
from fullspectrum.models.datasets import classfolders
from fullspectrum.models.errors import InputError
from fullspectrum.models.imagefiles import ImageFiles
from PIL import Image

COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}


def fill(folder: Path, count: int, size: int = 8, suffix: str = "png") -> None:
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.new("RGB", (size, size), colour).save(folder / name / f"{i:02}.{suffix}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


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
    assert load(f"imagefolder:{tmp_path}").augment == "crop-and-flip"


def test_grey_images_become_rgb(root):
    Image.fromarray(np.full((8, 8), 7, dtype=np.uint8)).save(root / "test" / "red" / "00.jpg")
    assert load(f"imagefolder:{root}").splits["test"].images[3, :, 0, 0].tolist() == [7, 7, 7]


@pytest.mark.parametrize(("opacity", "shown"), [(255, [40, 0, 100]), (51, [212, 204, 224]), (0, [255, 255, 255])])
def test_transparent_images_lie_on_white(root, opacity, shown):
    Image.new("RGBA", (8, 8), (40, 0, 100, opacity)).save(root / "test" / "red" / "zz.png")
    assert load(f"imagefolder:{root}").splits["test"].images[-1, :, 0, 0].tolist() == shown


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "I;16"])
def test_colours_that_nobody_sees_do_not_reach_the_network(root, mode):
    pixels = np.random.default_rng(0).integers(0, 2, (8, 8), dtype=np.uint8)
    image = {"1": Image.fromarray(pixels * 255).convert("1"), "P": Image.fromarray(pixels)}.get(mode)
    transparent = {"RGB": (1, 1, 1), "L": 1, "P": b"\xff\x00", "1": 255, "LA": None, "I;16": 1}
    options = {"transparency": transparent[mode]}
    if mode == "P":
        image.putpalette([9, 9, 9, 10, 20, 30])
    elif mode == "LA":
        image, options = Image.merge("LA", [Image.fromarray(pixels), Image.fromarray(255 - 255 * pixels)]), {}
    elif mode == "I;16":
        image = Image.fromarray(pixels.astype(np.uint16))
    elif image is None:
        image = Image.fromarray(pixels).convert(mode)
    image.save(root / "test" / "red" / "zz.png", **options)
    shown = load(f"imagefolder:{root}").splits["test"].images[-1].numpy()
    assert (shown[:, pixels == 1] == 255).all() and (shown[:, pixels == 0] < 10).all()


def as_a_camera_saves(image: Image.Image, orientation: int, path: Path) -> None:
    """Save an upright image as a camera does that is held otherwise, in the way that its EXIF orientation tells."""
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    exif = Image.Exif()
    exif[274] = orientation
    held = image.transpose(Image.Transpose(undone[orientation])) if orientation in undone else image
    held.save(path, exif=exif, **({"quality": 100, "subsampling": 0} if path.suffix == ".jpg" else {}))


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright_however_the_camera_was_held(root, orientation, extension):
    upright = np.zeros((8, 16, 3), dtype=np.uint8)
    upright[:4, :8], upright[4:, 8:], upright[:4, 8:] = 80, 160, 240
    as_a_camera_saves(Image.fromarray(upright), orientation, root / "test" / "red" / f"zz.{extension}")
    shown = load(f"imagefolder:{root}@8").splits["test"].images[-1].numpy().astype(int)
    # The middle square of the upright image, which is wider than high.
    assert np.abs(shown - upright[:, 4:12].transpose(2, 0, 1)).max() < 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_orientations_that_are_none_and_broken_exif_leave_an_image_as_it_is(root):
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("RGB")
    for name, exif in (("x0", b"Exif\x00\x00MM\x00*broken"), ("x1", b"nothing at all")):
        image.save(root / "test" / "red" / f"{name}.png", exif=exif)
    as_a_camera_saves(image, 9, root / "test" / "red" / "x2.png")
    images = load(f"imagefolder:{root}").splits["test"].images
    assert all((images[-number, 0] == images[-1, 0]).all() for number in (2, 3))
    assert images[-1, 0].flatten().tolist() == list(range(64))


def test_what_is_hidden_and_other_files_are_passed_over(root):
    (root / "train" / ".cache").mkdir()
    (root / "train" / "red" / "notes.txt").write_text("not an image")
    (root / "train" / "red" / "._00.png").write_bytes(b"what macOS leaves beside 00.png")
    assert len(load(f"imagefolder:{root}").splits["train"]) == 36


def test_of_16_bits_a_channel_the_higher_8_are_kept(root):
    grey = np.full((8, 8), 0x1234, dtype=np.uint16)
    Image.fromarray(grey).save(root / "test" / "red" / "zz.png")
    assert load(f"imagefolder:{root}").splits["test"].images[-1].unique().tolist() == [0x12]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_range_are_refused(root, kind):
    Image.fromarray(np.full((8, 8), 1, dtype=kind)).save(root / "test" / "red" / "zz.tif")
    with pytest.raises(InputError, match=r"red/zz\.tif: .* have no range; save it with 8 or 16 bits a channel"):
        load(f"imagefolder:{root}")


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


def test_a_truncated_jpeg_is_named(root):
    path = root / "test" / "red" / "01.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"red/01\.jpg: broken image"):
        load(f"imagefolder:{root}")


def test_a_link_to_nowhere_is_named(root):
    (root / "train" / "red" / "zz.png").symlink_to(root / "nowhere.png")
    with pytest.raises(InputError, match=r"red/zz\.png: cannot be read"):
        load(f"imagefolder:{root}")


def test_an_image_of_another_size_is_named_with_both_sizes_and_the_way_out(root):
    Image.new("RGB", (9, 8)).save(root / "test" / "red" / "01.jpg")
    with pytest.raises(InputError, match=r"red/01\.jpg: is 9 x 8 pixels, the first image 8 x 8; .*PATH@SIZE"):
        load(f"imagefolder:{root}")


def test_images_that_are_not_square_are_refused(tmp_path):
    for split in ("train", "test"):
        fill(tmp_path / split, 2)
        for name in COLOURS:
            Image.new("RGB", (8, 6)).save(tmp_path / split / name / "00.png")
    with pytest.raises(InputError, match="8 x 6 pixels; images must be square: .*PATH@SIZE, for example @6"):
        load(f"imagefolder:{tmp_path}")


def test_images_that_are_not_square_are_cropped_to_their_middle_where_a_size_is_asked_for(root):
    stripes = np.zeros((8, 24, 3), dtype=np.uint8)
    stripes[:, 8:16] = 200
    Image.fromarray(stripes).save(root / "test" / "red" / "zz.png")
    data = load(f"imagefolder:{root}@8")
    assert data.name == f"imagefolder:{root}@8" and data.task == Task(3, 8, 2)
    assert (data.splits["test"].images[-1] == 200).all()


def test_images_of_the_size_that_is_asked_for_keep_their_pixels(root):
    exact, resized = load(f"imagefolder:{root}"), load(f"imagefolder:{root}@8")
    assert all(torch.equal(resized.splits[name].images, split.images) for name, split in exact.splits.items())


@pytest.mark.parametrize("size", [5, 12])
def test_a_uniform_image_stays_so_when_it_is_resized(root, size):
    images = load(f"imagefolder:{root}@{size}").splits["train"].images
    assert images.shape[2:] == (size, size)
    assert images.flatten(2).unique(dim=0).tolist() == [
        [[0] * size**2, [0] * size**2, [255] * size**2],
        [[255] * size**2, [0] * size**2, [0] * size**2],
    ]


@pytest.mark.parametrize("size", ["0", "big", "", "-3", "99999999999999"])
def test_a_size_that_is_none_is_refused(root, size):
    with pytest.raises(InputError, match=f'number of pixels for SIZE, 16384 at most, but got "{size}"'):
        load(f"imagefolder:{root}@{size}")


def test_a_folder_that_is_not_there_is_named_at_sign_and_all():
    with pytest.raises(InputError, match="/no@where/photos: no such folder"):
        load("imagefolder:/no@where/photos")


def test_a_folder_may_have_an_at_sign_in_its_name(root, tmp_path):
    (tmp_path / "photos@8").mkdir()
    for split in ("train", "test"):
        (root / split).rename(tmp_path / "photos@8" / split)
    assert load(f"imagefolder:{tmp_path / 'photos@8'}").task == Task(3, 8, 2)
    assert load(f"imagefolder:{tmp_path / 'photos@8'}@4").task == Task(3, 4, 2)


def test_images_that_would_fill_the_memory_stay_files(root, monkeypatch):
    monkeypatch.setattr(classfolders, "MEMORY_LIMIT", 46 * 3 * 8 * 8)
    assert isinstance(load(f"imagefolder:{root}").splits["train"].images, torch.Tensor)
    monkeypatch.setattr(classfolders, "MEMORY_LIMIT", 46 * 3 * 8 * 8 - 1)
    streamed = load(f"imagefolder:{root}")
    assert all(isinstance(split.images, ImageFiles) for split in streamed.splits.values())
    assert {name: len(split) for name, split in streamed.splits.items()} == {"train": 36, "val": 4, "test": 6}


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_class(root, monkeypatch):
    listdir = os.listdir

    def refuse(folder):
        if Path(folder).name == "red":
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(InputError, match=r"train/red: cannot be read \(Permission denied\)"):
        load(f"imagefolder:{root}")


def test_a_name_that_no_file_system_takes_is_no_folder():
    with pytest.raises(InputError, match="x: no such folder"):
        load("imagefolder:" + "x" * 5000)


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
