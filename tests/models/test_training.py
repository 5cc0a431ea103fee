import io
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


def training(digits: Data, masks=None, recipe=SGD, total=60, seed=0, model=None) -> MaskedTraining:
    return MaskedTraining(model or build("digits_cnn", digits.task, 0), masks, digits, recipe, total, seed)


def removed(model: nn.Module, masks: MaskSet) -> torch.Tensor:
    """All weights that the masks remove, in one vector."""
    parameters = dict(model.named_parameters())
    return torch.cat([parameters[name].detach()[torch.tensor(~mask)] for name, mask in masks.items()])


@pytest.fixture
def masks(digits, random_masks) -> MaskSet:
    return random_masks(build("digits_cnn", digits.task, 0))


def test_dense_training_learns_digits(digits):
    run = training(digits)
    assert run.run(60) < 1
    # Chance is 0.1 with standard deviation 0.016 on 359 images.
    assert run.accuracy("val") > 0.8 and run.accuracy(digits.splits["test"]) > 0.8


def test_masked_training_learns_digits(digits, masks):
    run = training(digits, masks)
    run.run(60)
    assert run.accuracy("val") > 0.8


@pytest.mark.parametrize("recipe", [SGD, replace(SGD, weight_decay=0.1, label_smoothing=0.1), ADAMW])
def test_removed_weights_are_exactly_zero_after_every_step(digits, masks, recipe):
    run = training(digits, masks, recipe)
    for _ in range(5):
        assert torch.count_nonzero(removed(run.model, masks)) == 0
        run.run(1)
    assert torch.count_nonzero(removed(run.model, masks)) == 0


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


def test_an_all_kept_mask_trains_bit_for_bit_as_dense(digits):
    model = build("digits_cnn", digits.task, 0)
    everything = MaskSet({name: np.ones(weight.shape) for name, weight in prunable(model).items()})
    dense, masked = training(digits), training(digits, everything)
    assert dense.run(5) == masked.run(5)


def test_masks_of_a_wrapped_model_are_put_on(digits, masks):
    wrapped = MaskSet({f"module.{name}": mask for name, mask in masks.items()})
    run = training(digits, wrapped)
    run.run(1)
    assert torch.count_nonzero(removed(run.model, masks)) == 0


def test_masks_that_do_not_fit_are_refused(digits):
    with pytest.raises(InputError, match="conv9.weight"):
        training(digits, MaskSet({"conv9.weight": [1]}))


def resume_pair(digits, masks, recipe, model, at):
    """Train in one go, and again with everything thrown away and loaded from a checkpoint after `at` iterations."""
    whole = training(digits, masks, recipe, 40, model=model())
    loss = [whole.run(at), whole.run(40 - at)][1]
    first = training(digits, masks, recipe, 40, model=model())
    first.run(at)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = training(digits, masks, recipe, 40, model=model())
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.iteration == at
    assert second.run(40 - at) == loss
    return whole, second


# 1,079 images make 16 batches of 64: in the first epoch, at its end, and in the second.
@pytest.mark.parametrize(("recipe", "at"), [(SGD, 5), (SGD, 16), (ADAMW, 20)])
def test_resuming_is_bit_exact(digits, masks, recipe, at):
    whole, resumed = resume_pair(digits, masks, recipe, lambda: build("digits_cnn", digits.task, 0), at)
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


def dropout_network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10))


def test_resuming_is_bit_exact_with_dropout(digits):
    whole, resumed = resume_pair(digits, None, SGD, dropout_network, 7)
    assert torch.equal(whole.model[4].weight, resumed.model[4].weight)


def test_resuming_is_bit_exact_with_augmentation():
    generator = np.random.default_rng(0)
    part = generator.integers(0, 256, (80, 1, 32, 32), dtype=np.uint8), np.arange(80) % 10
    data = Data.from_arrays("noise", {"train": part, "val": part, "test": part}, augment=True)

    def model() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Flatten(), nn.Linear(1024, 10))

    whole, resumed = resume_pair(data, None, replace(SGD, batch_size=16), model, 7)
    assert torch.equal(whole.model[1].weight, resumed.model[1].weight)


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


def test_a_checkpoint_does_not_follow_the_training(digits):
    run = training(digits, model=dropout_network())
    run.run(3)
    state = run.state_dict()
    kept = pickle.dumps(state)
    run.run(3)
    assert pickle.dumps(state) == kept


def test_the_checkpoint_of_another_mask_or_seed_is_refused(digits, masks, random_masks):
    state = training(digits, masks).state_dict()
    other = random_masks(build("digits_cnn", digits.task, 0), seed=1)
    with pytest.raises(InputError, match="mask_digest"):
        training(digits, other).load_state_dict(state)
    with pytest.raises(InputError, match="seed"):
        training(digits, masks, seed=1).load_state_dict(state)


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


def test_the_cosine_falls_from_the_learning_rate_to_zero_and_a_constant_stays():
    assert Recipe(learning_rate=0.2).learning_rate_at(0, 100) == 0.2
    assert abs(Recipe(learning_rate=0.2).learning_rate_at(50, 100) - 0.1) < 1e-15
    assert Recipe(learning_rate=0.2).learning_rate_at(100, 100) == 0
    assert Recipe(learning_rate=0.2, schedule="constant").learning_rate_at(99, 100) == 0.2


@pytest.mark.parametrize("iterations", [0, -1, 61])
def test_more_iterations_than_are_left_are_refused(digits, iterations):
    with pytest.raises(InputError, match="between 1 and the 60"):
        training(digits).run(iterations)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"optimizer": "sdg"}, 'did you mean "sgd"'),
        ({"schedule": "linear"}, "known: cosine, constant"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"momentum": 1}, "momentum"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"weight_decay": math.inf}, "weight_decay"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_recipes_out_of_range_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        Recipe(**setting)
