"""Networks that cannot be trained are told in one line before anything is started."""

import copy
import math

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import build
from fullspectrum.models.trainable import check_trainable
from torch import nn


class Returns(nn.Module):
    """A linear network that returns what `change` makes of its logits."""

    def __init__(self, change) -> None:
        super().__init__()
        self.layer, self.change = nn.Linear(64, 10), change

    def forward(self, images: torch.Tensor) -> object:
        return self.change(self.layer(images.flatten(1)))


def refused(model: nn.Module, digits) -> str:
    with pytest.raises(InputError) as caught:
        check_trainable(model, digits, "mine:network")
    message = str(caught.value)
    assert "mine:network" in message and "\n" not in message
    return message


@pytest.mark.parametrize("name", ["digits_cnn", "resnet20"])
def test_sound_networks_pass_and_stay_as_they_were(digits, name):
    model = build(name, digits.task, 0).eval()
    before, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    check_trainable(model, digits, name)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not model.training
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_at_the_initial_weights_is_refused(digits, value):
    model = Returns(lambda logits: logits)
    nn.init.constant_(model.layer.bias, value)
    assert "the loss of mine:network at its initial weights is nan" in refused(model, digits)


def test_a_loss_that_is_not_finite_in_training_mode_alone_is_refused(digits):
    class NormalisedByNothing(Returns):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            return logits / 0 if self.training else logits

    assert "at its initial weights is" in refused(NormalisedByNothing(lambda logits: logits).eval(), digits)


@pytest.mark.parametrize(
    ("change", "given"),
    [
        (lambda logits: (logits, logits), "returned a tuple"),
        (lambda logits: None, "returned a NoneType"),
        (lambda logits: logits[:, :9], r"(64, 9) of torch.float32"),
        (lambda logits: logits[:1], r"(1, 10) of torch.float32"),
        (lambda logits: logits.mean(), r"() of torch.float32"),
        (lambda logits: logits.argmax(1), r"(64,) of torch.int64"),
    ],
)
def test_what_is_no_logit_for_each_class_is_refused(digits, change, given):
    message = refused(Returns(change), digits)
    assert "must return logits" in message and "(64, 10)" in message and given in message


class NormalisedVector(nn.Module):
    """The same values whatever the image's size: a vector, or maps of 1 x 1, which `norm` normalises."""

    def __init__(self, norm: nn.Module, maps: bool = False) -> None:
        super().__init__()
        self.first, self.norm, self.last, self.maps = nn.Linear(64, 12), norm, nn.Linear(12, 10), maps

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.first(images.flatten(1))
        features = self.norm(features[:, :, None, None]).flatten(1) if self.maps else self.norm(features)
        return self.last(features)


@pytest.mark.parametrize(("norm", "maps"), [(nn.BatchNorm1d, False), (nn.BatchNorm2d, True)])
def test_batches_of_one_are_refused_where_single_values_would_be_normalised(digits, norm, maps):
    model = NormalisedVector(norm(12), maps)
    for size in (2, 64, 1000):
        check_trainable(model, digits, "mine:network", batch_size=size)
    with pytest.raises(InputError) as caught:
        check_trainable(model, digits, "mine:network", batch_size=1)
    assert "training images: ValueError: Expected more than 1 value" in str(caught.value)
    assert "training.batch_size = 1 is too small for it" in str(caught.value) and "\n" not in str(caught.value)


def test_batches_of_one_are_trained_where_every_map_has_several_values(digits):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10))
    check_trainable(model, digits, "mine:network", batch_size=1)


def test_a_norm_of_single_values_is_refused_whatever_the_batch(digits):
    assert "Expected more than 1 spatial element" in refused(NormalisedVector(nn.InstanceNorm2d(12), True), digits)


def test_a_network_that_evaluation_could_not_end_with_a_batch_of_one_is_refused(digits):
    message = refused(Returns(lambda logits: logits.squeeze()), digits)
    assert "must return logits, one for each class, (1, 10), but returned (10,) of torch.float32" in message


def test_a_network_that_fails_in_evaluation_alone_is_refused(digits):
    class TrainsOnly(Returns):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) if self.training else None

    assert "must return logits" in refused(TrainsOnly(lambda logits: logits), digits)


def test_float16_is_refused_as_it_needs_a_scaled_loss(digits):
    assert "build it with bfloat16 or float32 weights" in refused(build("digits_cnn", digits.task, 0).half(), digits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_gets_images_of_the_dtype_of_its_weights(digits, dtype):
    check_trainable(build("resnet20", digits.task, 0).to(dtype), digits, "mine:network")


def test_a_network_that_cannot_be_copied_is_refused(digits):
    model = Returns(lambda logits: logits)
    model.kept = model.layer.weight * 2
    assert "cannot be copied (RuntimeError: Only Tensors created explicitly" in refused(model, digits)


def test_a_network_that_fails_is_named_with_its_own_error_behind_it(digits):
    def fail(logits):
        raise ZeroDivisionError("my mistake\nat length")

    message = refused(Returns(fail), digits)
    assert message == (
        "mine:network failed on a batch of 64 x 1 x 8 x 8 training images: ZeroDivisionError: my mistake"
    )
    with pytest.raises(InputError) as caught:
        check_trainable(Returns(fail), digits, "mine:network")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def spoiled(logits: torch.Tensor) -> torch.Tensor:
    """The logits less a change in place that their own gradient would need undone."""
    activations = logits.sigmoid()
    logits = activations.log()
    activations.mul_(2)
    return logits


@pytest.mark.parametrize("change", [torch.Tensor.detach, lambda logits: logits.data * 2, spoiled])
def test_a_loss_without_a_gradient_is_refused(digits, change):
    assert "no gradient" in refused(Returns(change), digits)


@pytest.mark.parametrize("own", [(), ("last",)], ids=["all", "some"])
def test_a_forward_pass_that_calls_layers_which_a_copy_does_not_own_is_refused(digits, own):
    class Closure(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(64, 8), nn.Linear(8, 10)
            self.call = lambda copy, x: (copy if "last" in own else self).last(self.first(x.flatten(1)))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.call(self, images)

    model = Closure()
    assert "reach them through self in the forward of a torch.nn.Module" in refused(model, digits)
    assert all(weight.grad is None for weight in model.parameters())


def leave(logits: torch.Tensor) -> torch.Tensor:
    raise SystemExit("usage: train.py")


def test_a_forward_pass_that_ends_the_program_is_refused(digits):
    assert "SystemExit: usage: train.py" in refused(Returns(leave), digits)
