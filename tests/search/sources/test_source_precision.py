"""Sources that differentiate: in double precision where the network can be computed so, else in its own."""

import copy
import pickle

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sources import DifferentiatingSource, Setting, source_called
from fullspectrum.search.sources.gradients import working_copy
from fullspectrum.search.worker.workbench import Workbench
from torch import nn
from torch.nn import functional

SOURCES = ["snip", "iterative-snip", "grasp", "synflow"]


class LayerNormInFloat32(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.float()).type(x.dtype)


class GroupNormInFloat32(nn.GroupNorm):
    def forward(self, x):
        return super().forward(x.float()).type(x.dtype)


class Blur(nn.Module):
    """A convolution with a tensor that is no buffer."""

    def __init__(self):
        super().__init__()
        self.kernel = torch.full((4, 1, 3, 3), 1 / 9)

    def forward(self, x):
        return functional.conv2d(x, self.kernel, groups=4)


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


class Filter(nn.Module):
    """A filter of complex weights, with parameters and buffers of whole and complex numbers beside it."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6, 4, dtype=torch.complex64))
        self.order = nn.Parameter(torch.arange(4), requires_grad=False)
        self.register_buffer("phase", torch.ones(4, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.irfft2(torch.fft.rfft2(x[:, self.order]) * self.weight, s=x.shape[-2:])


class Autocast(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x)


class ForwardOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("no backward pass")


class Custom(nn.Module):
    def forward(self, x):
        return ForwardOnly.apply(x)


def network(*between: nn.Module) -> nn.Sequential:
    """Return a small network for digits with modules between its convolution and its head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, last = nn.Conv2d(1, 4, 3), nn.Linear(16, 10)
    return nn.Sequential(first, *between, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), last)


def in_bfloat16() -> nn.Module:
    return nn.Sequential(Cast(torch.bfloat16), network().bfloat16())


def headed_in_float32() -> nn.Module:
    *body, head = network()
    return nn.Sequential(Cast(torch.bfloat16), *nn.Sequential(*body).bfloat16(), Cast(torch.float32), head)


FIXED = {
    "a layer norm": (lambda: network(LayerNormInFloat32([6, 6])), "float32"),
    "a group norm": (lambda: network(GroupNormInFloat32(2, 4)), "float32"),
    "a tensor that is no buffer": (lambda: network(Blur()), "float32"),
    "a network in bfloat16": (in_bfloat16, "bfloat16"),
    "a head in float32": (headed_in_float32, "bfloat16, float32"),
}
FREE = {
    "a network in bfloat16 that takes what it is given": lambda: network().bfloat16(),
    "complex and whole numbers": lambda: network(Filter()),
    "autocast within": lambda: network(Autocast(nn.Conv2d(4, 4, 1))),
}


def tried(name: str, model: nn.Module, digits) -> DifferentiatingSource:
    source = source_called(name)
    source.try_out(Setting(model, digits, 60, rounds=3).few)
    return pickle.loads(pickle.dumps(source))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("part", FIXED)
def test_a_network_with_a_part_of_fixed_precision_is_scored_in_its_own(part, name, digits):
    make, precision = FIXED[part]
    model = make()
    source, setting = tried(name, model, digits), Setting(model, digits, 60, rounds=3)
    assert source.origin() == {"precision": precision}
    scores = source.scores(setting, 0)
    shapes = {name: tuple(weight.shape) for name, weight in prunable(model).items()}
    assert {name: values.shape for name, values in scores.items()} == shapes
    assert all(values.dtype == np.float64 and np.isfinite(values).all() for values in scores.values())
    # As they are where nothing was tried before.
    again = source_called(name).scores(setting, 0)
    assert all(np.array_equal(again[name], values) for name, values in scores.items())


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("part", FREE)
def test_a_network_that_can_be_computed_in_double_precision_is(part, name, digits):
    source = tried(name, FREE[part](), digits)
    assert source.origin() == {"precision": "float64"}
    assert all(np.isfinite(values).all() for values in source.scores(Setting(FREE[part](), digits, 60), 0).values())


def test_its_own_precision_ranks_weights_as_double_precision_does(digits):
    fixed, free = network(GroupNormInFloat32(2, 4)), network(nn.GroupNorm(2, 4))
    scores = [source_called("snip").scores(Setting(model, digits, 60), 0) for model in (fixed, free)]
    for name, values in scores[0].items():
        np.testing.assert_allclose(values, scores[1][name], rtol=1e-3, atol=1e-6)


def test_what_was_tried_decides_for_all_that_follows(digits):
    # A worker must neither score in another precision than the record says, nor hide an error by doing so.
    source = tried("snip", network(), digits)
    with pytest.raises(RuntimeError):
        source.scores(Setting(network(GroupNormInFloat32(2, 4)), digits, 60), 0)


def test_trying_takes_few_images_and_one_round(digits):
    few = Setting(network(), digits, 60, rounds=50, images_per_class=30).few
    assert few.rounds == 1
    assert [len(labels) for _, labels in few.batches(0)] == [4]
    assert [len(labels) for _, labels in few.batches(0, parts=2)] == [2, 2]


def test_frozen_and_whole_numbers_stay_so_in_the_network_itself(digits):
    model = network(Filter()).requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    working_copy(Setting(model, digits, 60))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def bench(model: nn.Module, digits, *sources: str, **search) -> Workbench:
    settings = {"model": "mine:network", "data": "digits", "sparsity": 0.5, "search": {"sources": [*sources], **search}}
    return Workbench(parse(settings), model, digits)


@pytest.mark.parametrize("name", [*SOURCES, "ascent:snip"])
def test_what_cannot_be_differentiated_is_told_before_the_start_with_the_source(name, digits):
    bench(network(Custom()), digits, "random", "magnitude").try_sources()
    with pytest.raises(
        InputError, match=f"^source {name} cannot score mine:network: RuntimeError: no backward pass"
    ) as caught:
        bench(network(Custom()), digits, "random", name).try_sources()
    assert "\n" not in str(caught.value)


def test_what_overflows_in_the_networks_own_precision_is_told_with_that(digits):
    model = network(LayerNormInFloat32([6, 6]))
    nn.init.constant_(model[-1].weight, 3e38)
    with pytest.raises(
        InputError, match=r"^source snip: the .* \(in float32, as the network cannot be computed in float64"
    ):
        bench(model, digits, "snip").try_sources()


def test_a_class_with_too_few_images_is_told_before_the_start_with_the_setting(digits):
    with pytest.raises(InputError, match=r"^source snip: .* ask for fewer: search.images_per_class = \d+ at most$"):
        bench(network(), digits, "snip", images_per_class=1000).try_sources()


def test_the_precision_is_recorded_with_the_network_and_the_masks(digits):
    made = bench(network(GroupNormInFloat32(2, 4)), digits, "random", "snip")
    made.try_sources()
    assert made.network["precision"] == {"snip": "float32"}
    assert made.origins == {"random": {}, "snip": {"precision": "float32"}}
