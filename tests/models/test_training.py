import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.training import Diverged, MaskedTraining, Recipe
from torch import nn

SGD = Recipe(learning_rate=0.05, batch_size=64)
ADAMW = Recipe(optimizer="adamw", learning_rate=0.003, weight_decay=0.1, batch_size=64)
EVERYTHING = {"ramp_up": 0.1, "gradient_clip": 0.5, "ema": 0.9, "label_smoothing": 0.1}
RECIPES = {
    "sgd": SGD,
    "decay": replace(SGD, weight_decay=0.1, label_smoothing=0.1),
    "no momentum": replace(SGD, momentum=0.0),
    "nesterov": replace(SGD, nesterov=True),
    "adamw": ADAMW,
    "one-cycle": replace(SGD, schedule="one-cycle", ramp_up=0.2),
    "step": replace(SGD, schedule="step", milestones=(0.02, 0.05)),
    "clip": replace(SGD, gradient_clip=0.1),
    "average": replace(SGD, ema=0.9),
    "everything": replace(SGD, weight_decay=0.1, nesterov=True, **EVERYTHING),
    "everything with adamw": replace(ADAMW, schedule="one-cycle", **EVERYTHING),
}


def training(digits: Data, masks=None, recipe=SGD, total=60, seed=0, model=None) -> MaskedTraining:
    return MaskedTraining(model or build("digits_cnn", digits.task, 0), masks, digits, recipe, total, seed)


def removed(state: dict[str, torch.Tensor], masks: MaskSet) -> torch.Tensor:
    """All weights that the masks remove, in one vector."""
    return torch.cat([state[name][torch.tensor(~mask)] for name, mask in masks.items()])


@pytest.fixture
def masks(digits, random_masks) -> MaskSet:
    return random_masks(build("digits_cnn", digits.task, 0))


def test_dense_training_learns_digits(digits):
    run = training(digits)
    assert run.run(60) < 1
    # Chance is 0.1 with standard deviation 0.016 on 359 images.
    assert run.accuracy("val") > 0.8 and run.accuracy(digits.splits["test"]) > 0.8


@pytest.mark.parametrize(("recipe", "dtype"), [("sgd", torch.float64), ("everything with adamw", torch.bfloat16)])
def test_a_network_in_another_precision_learns_digits_under_its_masks(digits, masks, recipe, dtype):
    run = training(digits, masks, RECIPES[recipe], model=build("digits_cnn", digits.task, 0).to(dtype))
    run.run(60)
    assert run.accuracy("val") > 0.8
    state = run.model.state_dict()
    assert {tensor.dtype for tensor in state.values() if tensor.is_floating_point()} == {dtype}
    assert not removed(state, masks).any()


def test_masked_training_learns_digits(digits, masks):
    run = training(digits, masks)
    run.run(60)
    assert run.accuracy("val") > 0.8


@pytest.mark.parametrize("name", RECIPES)
def test_removed_weights_are_exactly_zero_after_every_step(digits, masks, name):
    run = training(digits, masks, RECIPES[name])
    for _ in range(6):
        assert torch.count_nonzero(removed(run.model.state_dict(), masks)) == 0
        assert torch.count_nonzero(removed(run.measured_state(), masks)) == 0
        run.run(1)
    assert torch.count_nonzero(removed(run.model.state_dict(), masks)) == 0
    assert torch.count_nonzero(removed(run.measured_state(), masks)) == 0


def test_kept_weights_and_unmasked_parameters_are_trained(digits, masks):
    before = initial_state(build("digits_cnn", digits.task, 0))
    run = training(digits, masks)
    run.run(3)
    after = dict(run.model.named_parameters())
    kept = torch.tensor(masks["fc2.weight"])
    assert (after["fc2.weight"][kept] != before["fc2.weight"][kept]).all()
    assert (after["fc2.bias"] != before["fc2.bias"]).all()


def test_one_step_equals_a_step_written_out_by_hand(digits, masks):
    run = training(digits, masks, replace(SGD, schedule="constant"))
    images, labels = next(run._new_batches())
    run = training(digits, masks, replace(SGD, schedule="constant"))
    loss = run.run(1)
    model = build("digits_cnn", digits.task, 0)
    with torch.no_grad():
        for name, weight in prunable(model).items():
            weight *= torch.tensor(masks[name])
    expected = nn.functional.cross_entropy(model(images), labels)
    expected.backward()
    assert loss == expected.item()
    with torch.no_grad():
        for name, weight in prunable(model).items():
            stepped = (weight - 0.05 * (weight.grad + 5e-4 * weight)) * torch.tensor(masks[name])
            torch.testing.assert_close(run.model.get_parameter(name), nn.Parameter(stepped))


def displacement(digits, masks, **changes) -> torch.Tensor:
    """How far one step of plain descent at rate 1 takes the parameters: the gradient it has followed."""
    plain = replace(SGD, learning_rate=1.0, momentum=0.0, weight_decay=0.0, schedule="constant")
    run = training(digits, masks, replace(plain, **changes))
    before = nn.utils.parameters_to_vector(run.model.parameters()).detach().clone()
    run.run(1)
    return before - nn.utils.parameters_to_vector(run.model.parameters()).detach()


def test_a_clipped_gradient_has_its_direction_and_the_norm_asked_for_over_trained_weights_alone(digits, masks):
    whole = displacement(digits, masks)
    limit = whole.norm().item() / 3
    torch.testing.assert_close(displacement(digits, masks, gradient_clip=limit), whole / 3, rtol=1e-3, atol=1e-6)


def test_a_gradient_below_the_limit_is_not_clipped_by_a_bit(digits, masks):
    whole = displacement(digits, masks)
    assert torch.equal(displacement(digits, masks, gradient_clip=2 * whole.norm().item()), whole)


def test_accuracy_is_that_of_the_averaged_weights_and_training_goes_on_with_its_own(digits, masks):
    run, plain = (training(digits, masks, replace(SGD, ema=decay)) for decay in (0.9, 0.0))
    assert run.run(20) == plain.run(20)
    accuracy = run.accuracy("val")
    assert all(torch.equal(t, plain.model.state_dict()[name]) for name, t in run.model.state_dict().items())
    averaged = build("digits_cnn", digits.task, 0)
    averaged.load_state_dict(run.measured_state())
    assert accuracy == training(digits, masks, model=averaged).accuracy("val")
    assert not torch.equal(averaged.fc2.weight, run.model.fc2.weight)
    assert run.run(5) == plain.run(5)


def test_without_an_average_the_weights_themselves_are_measured(digits, masks):
    run = training(digits, masks)
    run.run(3)
    assert all(torch.equal(t, run.model.state_dict()[name]) for name, t in run.measured_state().items())


def test_an_all_kept_mask_trains_bit_for_bit_as_dense(digits):
    model = build("digits_cnn", digits.task, 0)
    everything = MaskSet({name: np.ones(weight.shape) for name, weight in prunable(model).items()})
    dense, masked = training(digits), training(digits, everything)
    assert dense.run(5) == masked.run(5)


def test_masks_of_a_wrapped_model_are_put_on(digits, masks):
    wrapped = MaskSet({f"module.{name}": mask for name, mask in masks.items()})
    run = training(digits, wrapped)
    run.run(1)
    assert torch.count_nonzero(removed(run.model.state_dict(), masks)) == 0


def test_masks_that_do_not_fit_are_refused(digits):
    with pytest.raises(InputError, match="conv9.weight"):
        training(digits, MaskSet({"conv9.weight": [1]}))


def dropout_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))


def test_how_iterations_are_grouped_into_calls_does_not_matter(digits):
    one, many = (training(digits, recipe=SGD, model=dropout_network()) for _ in range(2))
    one.run(20)
    for iterations in (1, 7, 12):
        many.run(iterations)
        many.accuracy("val")
    assert torch.equal(one.model[1].weight, many.model[1].weight)


def test_training_leaves_the_global_generator_untouched(digits):
    run = training(digits, model=dropout_network())
    before = torch.get_rng_state()
    run.run(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_not_finite_ends_the_training_at_its_iteration(digits):
    run = training(digits, recipe=replace(SGD, learning_rate=1e30, schedule="constant"))
    with pytest.raises(Diverged) as caught:
        run.run(20)
    error = pickle.loads(pickle.dumps(caught.value))
    assert 1 <= error.iteration == run.iteration < 20 and not math.isfinite(error.loss)
    assert f"iteration {error.iteration}" in str(error) and not isinstance(error, InputError)


def test_outputs_that_are_nan_have_no_accuracy(digits):
    run = training(digits)
    with torch.no_grad():
        run.model.fc2.bias.fill_(math.nan)
    with pytest.raises(Diverged):
        run.accuracy("val")


def test_accuracy_uses_running_statistics_and_changes_nothing(digits):
    run = training(digits)
    run.run(5)
    before = initial_state(run.model)
    whole = run.accuracy("val")
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())
    run.model.eval()
    with torch.no_grad():
        val = digits.splits["val"]
        guesses = run.model((val.images / 255 - digits.mean) / digits.std).argmax(dim=1)
    assert whole == (guesses == val.labels).sum().item() / 359


@pytest.mark.parametrize("iterations", [0, -1, 61])
def test_more_iterations_than_are_left_are_refused(digits, iterations):
    with pytest.raises(InputError, match="between 1 and the 60"):
        training(digits).run(iterations)
