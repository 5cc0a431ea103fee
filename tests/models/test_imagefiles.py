"""Datasets that stay files: decoded by workers, batch by batch."""

import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.batches import batches, class_balanced_batch, evaluation_batches
from fullspectrum.models.data import Data, load
from fullspectrum.models.datasets import classfolders
from fullspectrum.models.errors import InputError
from fullspectrum.models.imagefiles import ImageFiles
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.training import MaskedTraining
from PIL import Image

SIZE = 32


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Images brighter to the right, dark ones in one class and light ones in the other."""
    monkeypatch.setattr(classfolders, "MEMORY_LIMIT", 0)
    ramp = np.tile(np.linspace(0, 100, 48), (40, 1))
    for split, count in (("train", 20), ("val", 3), ("test", 3)):
        for name, base in (("dark", 0), ("light", 100)):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                grey = Image.fromarray((ramp + base + i).astype(np.uint8))
                grey.convert("RGB").save(tmp_path / split / name / f"{i:02}.png")
    return tmp_path


@pytest.fixture
def data(root) -> Data:
    return load(f"imagefolder:{root}@{SIZE}")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def taken(data: Data, count: int, batch_size: int = 8, skip: int = 0, augment: str | None = "crop-and-flip"):
    return list(islice(batches(data.splits["train"], batch_size, generator(), augment, skip), count))


def same(some, others) -> bool:
    pairs = list(zip(some, others, strict=True))
    return all(torch.equal(x, y) and torch.equal(a, b) for (x, a), (y, b) in pairs)


def test_batches_have_the_form_of_those_in_memory(data):
    assert isinstance(data.splits["train"].images, ImageFiles) and data.augment == "crop-and-flip"
    images, labels = taken(data, 1)[0]
    assert images.shape == (8, 3, SIZE, SIZE) and images.dtype == torch.float32 and labels.dtype == torch.int64


def test_labels_stay_with_their_images(data):
    images, labels = (torch.cat(parts) for parts in zip(*taken(data, 5), strict=True))
    # The dark class is below 120 everywhere, the light one above 100 by its middle.
    pixels = (images * data.std[:, None, None] + data.mean[:, None, None]) * 255
    assert torch.equal(pixels.mean(dim=(1, 2, 3)) > 110, labels == 1)
    assert sorted(labels.tolist()) == [0] * 20 + [1] * 20


def test_augmentation_depends_on_the_draw_and_the_position_but_not_on_the_workers(data, threads):
    threads(1)
    alone = taken(data, 7)
    threads(2)
    assert same(taken(data, 7), alone)
    wide = torch.cat([images for images, _ in taken(data, 1, batch_size=40)])
    assert torch.equal(wide, torch.cat([images for images, _ in alone[:5]]))
    # The second epoch draws anew.
    assert not torch.equal(alone[5][0], alone[0][0])


def test_skipping_goes_on_where_the_epoch_was_left_and_decodes_nothing_before(data):
    whole = taken(data, 8)
    order = torch.randperm(40, generator=generator())
    train = data.splits["train"].images
    for row in order[:16].tolist():
        Path(train.path(row)).write_bytes(b"broken")
    assert same(taken(data, 3, skip=2), whole[2:5])


def test_half_of_the_images_are_flipped_where_that_is_asked_for(data):
    def flipped(augment: str) -> int:
        images = torch.cat([images for images, _ in taken(data, 8, batch_size=40, augment=augment)])
        return int((images[..., -4:].mean(dim=(1, 2, 3)) < images[..., :4].mean(dim=(1, 2, 3))).sum())

    # Binomial(320, 1/2) has standard deviation 8.9: 6 of them allowed.
    assert abs(flipped("crop-and-flip") - 160) < 6 * 8.9
    assert flipped("crop") == 0


def test_evaluation_takes_the_middle_of_every_image_in_order(data):
    test = data.splits["test"]
    images, labels = (torch.cat(parts) for parts in zip(*evaluation_batches(test, 4), strict=True))
    assert labels.tolist() == [0] * 3 + [1] * 3
    pixels = (images * data.std[:, None, None] + data.mean[:, None, None]) * 255
    # The ramp is 100 / 47 a pixel; 35 of its 48 columns are seen, resized to 32.
    steps = pixels[0, 0, 16, 1:-1].diff()
    assert steps.mean().item() == pytest.approx(100 / 47 * 35 / 32, rel=0.02)
    assert pixels[1].mean().item() - pixels[0].mean().item() == pytest.approx(1, abs=0.1)
    assert pixels[0].mean().item() == pytest.approx(50, abs=1)


def test_images_of_their_own_size_are_evaluated_whole(root):
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    for file in root.glob("*/*/*.png"):
        Image.fromarray(pixels).save(file)
    test = load(f"imagefolder:{root}").splits["test"]
    images, _ = next(evaluation_batches(test, 1))
    seen = (images * test.std[:, None, None] + test.mean[:, None, None]) * 255
    assert np.array_equal(seen[0].round().numpy().astype(np.uint8), pixels.transpose(2, 0, 1))


def test_a_class_balanced_batch_comes_from_the_training_files(data):
    images, labels = class_balanced_batch(data, 5, seed=1)
    assert images.shape == (10, 3, SIZE, SIZE) and labels.tolist() == [0] * 5 + [1] * 5
    again, other = (class_balanced_batch(data, 5, seed=seed)[0] for seed in (1, 2))
    assert torch.equal(images, again) and not torch.equal(images, other)
    with pytest.raises(InputError, match="class 0 has 20 in the training split"):
        class_balanced_batch(data, 21, seed=0)


def test_mean_and_std_are_those_of_the_training_images(data):
    # A ramp from 0 to 100 over 48 columns, of which the middle 40 are seen, plus 0 to 19, plus 0 or 100.
    assert data.mean.mul(255).tolist() == pytest.approx([50 + 9.5 + 50] * 3, abs=1)
    ramp = np.linspace(0, 100, 48)[4:44].var()
    assert data.std.mul(255).tolist() == pytest.approx([np.sqrt(ramp + (20**2 - 1) / 12 + 50**2)] * 3, rel=0.01)


def test_a_tenth_of_each_class_is_held_out_where_there_is_no_validation(root):
    for name in ("dark", "light"):
        for file in (root / "val" / name).iterdir():
            file.unlink()
        (root / "val" / name).rmdir()
    (root / "val").rmdir()
    splits = load(f"imagefolder:{root}@{SIZE}").splits
    names = {name: set(splits[name].images.names.tolist()) for name in ("train", "val")}
    assert len(names["train"]) == 36 and len(names["val"]) == 4 and not names["train"] & names["val"]


def test_the_files_are_found_from_another_process_and_folder(root, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(root)
    data = load(f"imagefolder:.@{SIZE}")
    expected = taken(data, 1)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    raw = pickle.dumps(data)
    # A path takes 19 bytes here and a label 8; what is left does not grow with the number of images.
    assert len(raw) < 52 * 27 + 6000
    assert same(taken(pickle.loads(raw), 1), expected)


@pytest.mark.parametrize("damage", [b"not an image", None], ids=["garbage", "truncated"])
def test_a_broken_file_met_by_a_worker_is_named_in_one_line(data, damage):
    broken = Path(data.splits["test"].images.path(4))
    broken.write_bytes(damage or broken.read_bytes()[:80])
    with pytest.raises(InputError, match=r"test/light/01\.png: .*image .*; replace or remove it") as caught:
        list(evaluation_batches(data.splits["test"], 2))
    assert "\n" not in str(caught.value)


def test_without_a_size_an_image_of_another_is_refused_by_the_worker_too(root):
    for file in root.glob("*/*/*.png"):
        Image.new("RGB", (SIZE, SIZE)).save(file)
    data = load(f"imagefolder:{root}")
    Image.new("RGB", (9, 8)).save(root / "test" / "dark" / "00.png")
    with pytest.raises(InputError, match=r"dark/00\.png: is 9 x 8 pixels, the first image 32 x 32"):
        list(evaluation_batches(data.splits["test"], 8))


def test_the_global_generators_are_left_alone(data):
    before = torch.random.get_rng_state()
    taken(data, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_training_on_files_resumes_bit_for_bit(data):
    def training() -> MaskedTraining:
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE**2, 2))
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, 0.01)
        return MaskedTraining(network, None, data, Recipe(batch_size=8), 8, seed=0)

    whole, first, second = training(), training(), training()
    whole.run(8)
    first.run(3)
    second.load_state_dict(first.state_dict())
    second.run(5)
    assert torch.equal(second.model[1].weight, whole.model[1].weight)
    assert second.accuracy("test") == whole.accuracy("test")
