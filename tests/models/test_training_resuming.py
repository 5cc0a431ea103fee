"""A training that is cut at any step, saved, and taken up by a fresh one ends at the very same bits."""

import copy
import io
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.recipe import OPTIMIZERS, SCHEDULES
from fullspectrum.models.training import MaskedTraining, Recipe
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

DIGITS = Recipe(learning_rate=0.05, batch_size=64)
NOISE = Recipe(learning_rate=0.05, batch_size=8)
EVERYTHING = {
    "schedule": "one-cycle",
    "nesterov": True,
    "ramp_up": 0.3,
    "gradient_clip": 0.5,
    "ema": 0.99,
    "label_smoothing": 0.1,
}

# 44 images make 5 batches of 8 an epoch, and 4 images that it leaves out.
TOTAL = 12


def noise(augment: bool) -> Data:
    generator = np.random.default_rng(0)
    part = generator.integers(0, 256, (44, 1, 32, 32), dtype=np.uint8), np.arange(44) % 10
    return Data.from_arrays("noise", {"train": part, "val": part, "test": part}, augment=augment)


PLAIN, AUGMENTED = noise(False), noise(True)


def network() -> nn.Module:
    """With dropout, and with running statistics."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = [nn.Linear(1024, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3)]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(16, 10))


MASKS = MaskSet({"1.weight": np.random.default_rng(1).random((16, 1024)) < 0.2})


def noise_training(recipe: Recipe, data: Data = AUGMENTED) -> MaskedTraining:
    return MaskedTraining(network(), MASKS, data, recipe, TOTAL, 0)


def digits_training(digits: Data, masks: MaskSet, recipe: Recipe = DIGITS, total: int = 20) -> MaskedTraining:
    return MaskedTraining(build("digits_cnn", digits.task, 0), masks, digits, recipe, total, 0)


def saved(run: MaskedTraining) -> dict[str, object]:
    """The state of a training as a file gives it back."""
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def bits(value: object) -> object:
    """Nested tensors as bytes, so that everything is compared bit by bit."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return value


def assert_resumes(start, cut: int) -> None:
    """`start()` trained in one go, and again with everything thrown away and loaded after `cut` iterations."""
    whole, first, second = start(), start(), start()
    if cut:
        whole.run(cut)
        first.run(cut)
    second.load_state_dict(saved(first))
    assert second.iteration == cut
    if left := whole.total_iterations - cut:
        assert second.run(left) == whole.run(left)
    assert bits(second.state_dict()) == bits(whole.state_dict())
    assert bits(second.measured_state()) == bits(whole.measured_state())
    assert second.accuracy("val") == whole.accuracy("val")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=["plain", "everything"])
# At the start, inside an epoch, at both ends of one, and after the last step.
@pytest.mark.parametrize("cut", [0, 1, 4, 5, 6, 10, 11, 12])
def test_resuming_is_bit_exact_wherever_it_is_cut(optimizer, options, cut):
    assert_resumes(lambda: noise_training(replace(NOISE, optimizer=optimizer, **options)), cut)


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        Recipe,
        optimizer=st.sampled_from(OPTIMIZERS),
        learning_rate=st.sampled_from([0.001, 0.05]),
        momentum=st.sampled_from([0.0, 0.9]),
        nesterov=st.booleans(),
        weight_decay=st.sampled_from([0.0, 0.1]),
        label_smoothing=st.sampled_from([0.0, 0.2]),
        batch_size=st.sampled_from([3, 8, 44, 100]),
        schedule=st.sampled_from(SCHEDULES),
        ramp_up=st.sampled_from([0.0, 0.4]),
        gradient_clip=st.sampled_from([0.0, 0.1]),
        ema=st.sampled_from([0.0, 0.9]),
    ),
    st.sampled_from([PLAIN, AUGMENTED]),
    st.integers(0, TOTAL),
)
def test_resuming_is_bit_exact_with_every_recipe(recipe, data, cut):
    assert_resumes(lambda: noise_training(recipe, data), cut)


# 1,079 images make 16 batches of 64.
@pytest.mark.parametrize("cut", [5, 16])
def test_resuming_is_bit_exact_with_convolutions(digits, random_masks, cut):
    masks = random_masks(build("digits_cnn", digits.task, 0))
    assert_resumes(lambda: digits_training(digits, masks), cut)


RESUME = """
import sys
import torch
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.training import MaskedTraining, Recipe

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
state = torch.load(f"{folder}/half.pt", weights_only=True)
data = load("digits")
model, masks = build("digits_cnn", data.task, 0), MaskSet.load(f"{folder}/mask.safetensors")
run = MaskedTraining(model, masks, data, Recipe(**state["recipe"]), 12, 0)
run.load_state_dict(state)
run.run(7)
torch.save(run.state_dict(), f"{folder}/whole.pt")
"""


def test_another_process_goes_on_to_the_same_bits(digits, random_masks, tmp_path):
    masks = random_masks(build("digits_cnn", digits.task, 0))
    masks.save(tmp_path / "mask.safetensors")
    run = digits_training(digits, masks, replace(DIGITS, ema=0.9, schedule="one-cycle"), 12)
    run.run(5)
    torch.save(run.state_dict(), tmp_path / "half.pt")
    run.run(7)
    command = [sys.executable, "-c", RESUME, str(tmp_path), str(torch.get_num_threads())]
    subprocess.run(command, check=True, capture_output=True)
    assert bits(torch.load(tmp_path / "whole.pt", weights_only=True)) == bits(run.state_dict())


def test_a_checkpoint_does_not_follow_the_training():
    run = noise_training(replace(NOISE, ema=0.9))
    run.run(3)
    state = run.state_dict()
    kept = copy.deepcopy(bits(state))
    run.run(3)
    assert bits(state) == kept


def test_rewinding_resets_everything_that_was_trained_since():
    run = noise_training(replace(NOISE, **EVERYTHING))
    run.run(4)
    state, accuracy = saved(run), run.accuracy("val")
    loss = run.run(8)
    for _ in range(2):
        run.load_state_dict(state)
        assert run.accuracy("val") == accuracy
        assert bits(run.state_dict()) == bits(state)
        assert run.run(8) == loss


def test_a_copy_of_a_network_starts_from_its_weights_and_not_from_where_another_copy_was_trained_to():
    recipe, model = replace(NOISE, **EVERYTHING), network()
    ends = []
    for _ in range(2):
        run = MaskedTraining(copy.deepcopy(model), MASKS, AUGMENTED, recipe, TOTAL, 0)
        run.run(TOTAL)
        ends.append(bits(run.state_dict()))
    assert ends[0] == ends[1]
    assert bits(model.state_dict()) == bits(network().state_dict())


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (lambda: MaskedTraining(network(), None, PLAIN, NOISE, TOTAL, 0), "mask_digest"),
        (lambda: MaskedTraining(network(), MASKS, PLAIN, NOISE, TOTAL, 1), "seed"),
        (lambda: MaskedTraining(network(), MASKS, PLAIN, replace(NOISE, ema=0.9), TOTAL, 0), "recipe"),
        (lambda: MaskedTraining(network(), MASKS, PLAIN, NOISE, TOTAL + 1, 0), "total_iterations"),
    ],
)
def test_the_checkpoint_of_another_training_is_refused(other, expected):
    state = noise_training(NOISE).state_dict()
    assert state["recipe"] == asdict(NOISE)
    with pytest.raises(InputError, match=f"its {expected} is"):
        other().load_state_dict(state)
