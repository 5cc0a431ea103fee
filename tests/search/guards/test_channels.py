"""Dead channels, projection shortcuts, and paths that are exact at any depth."""

import itertools
from collections import OrderedDict

import numpy as np
import pytest
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.guards.channels import ChannelCount, Channels
from fullspectrum.search.guards.connectivity import Connectivity, Limits
from fullspectrum.search.guards.counter import PathCounter
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

PIXELS = Task(1, 2, 2)


def mlp(*widths: int, between: type = nn.ReLU) -> nn.Module:
    """Linear layers called fc0, fc1, …, with an activation between them."""
    layers: list[tuple[str, nn.Module]] = [("flat", nn.Flatten())]
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers += [(f"fc{i}", nn.Linear(inputs, outputs, bias=False)), (f"act{i}", between())]
    return nn.Sequential(OrderedDict(layers[:-1]))


def dense(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}


def random_masks(model: nn.Module, sparsity: float, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.random(mask.shape) >= sparsity for name, mask in dense(model).items()}


def test_channels_of_a_convolution_are_those_of_its_axes_whatever_the_kernel():
    used = np.zeros((4, 3, 3, 3), dtype=bool)
    used[1, 2, 0, 1] = used[3, 2, 2, 2] = True
    assert Channels().outputs(used).tolist() == [[False, True, False, True]]
    assert Channels().inputs(used).tolist() == [[False, False, True]]
    assert ChannelCount.of(Channels(), used, np.zeros_like(used)) == ChannelCount(7, 4, 7)


def test_every_group_has_inputs_and_outputs_of_its_own():
    used = np.zeros((4, 3, 1, 1), dtype=bool)
    used[0, 1] = used[3, 2] = True
    grouped = Channels(groups=2)
    assert grouped.outputs(used).tolist() == [[True, False], [False, True]]
    assert grouped.inputs(used).tolist() == [[False, True, False], [False, False, True]]


def test_an_embedding_and_a_transposed_convolution_have_their_inputs_first():
    used = np.zeros((4, 3), dtype=bool)
    used[1, 2] = True
    assert Channels(inputs_first=True).inputs(used).tolist() == [[False, True, False, False]]
    assert Channels(inputs_first=True).outputs(used).tolist() == [[False, False, True]]
    assert Channels(2, True).outputs(used).tolist() == [[False, False, True], [False, False, False]]


@given(st.sampled_from([1, 2]), st.booleans(), st.integers(0, 1000))
def test_a_channel_is_listed_once_if_it_has_no_weight_in_use(groups, inputs_first, seed):
    used = np.random.default_rng(seed).random((4, 3, 2, 2)) < 0.15
    channels = Channels(groups, inputs_first)
    keys = list(channels.without(used))
    assert len({str(key) for key in keys}) == len(keys) == ChannelCount.of(channels, used, used).dead
    assert not any(channels.view(used)[key].any() for key in keys)
    assert list(channels.without(used, outputs_only=True)) == [key for key in keys if len(key) == 2]


def test_a_channel_may_hold_weights_and_be_dead():
    masks = {"fc0.weight": [[1, 1, 0, 0], [0, 0, 0, 0]], "fc1.weight": [[1, 1], [0, 1]]}
    found = PathCounter(mlp(4, 2, 2), PIXELS).check({name: np.array(m, dtype=bool) for name, m in masks.items()})
    # On paths: two pixels, unit 0, output 0. Output 1 and input 1 of the second layer hold weights from a dead unit.
    assert found.channels == {"fc0.weight": ChannelCount(6, 3, 3), "fc1.weight": ChannelCount(4, 0, 2)}
    assert (found.empty_channels, found.dead_channels) == (3 / 10, 5 / 10)
    assert found.fault is None


def test_more_dead_channels_than_the_limit_are_a_fault_with_the_worst_layer():
    masks = {"fc0.weight": [[1, 1, 0, 0], [0, 0, 0, 0]], "fc1.weight": [[1, 0], [1, 0]]}
    masks = {name: np.array(mask, dtype=bool) for name, mask in masks.items()}
    assert PathCounter(mlp(4, 2, 2), PIXELS, Limits(dead_channels=0.4)).check(masks).fault is None
    assert PathCounter(mlp(4, 2, 2), PIXELS, Limits(dead_channels=0.39)).check(masks).fault == (
        "dead channels: 0.4000 of all lie on no path, 3 of 6 in fc0.weight, but max_dead_channels = 0.39"
    )


class Block(nn.Module):
    """Ways of one and of two layers to a sum, by whatever name and in whatever order."""

    def __init__(self, shorter_first: bool):
        super().__init__()
        self.stem, self.a, self.b, self.c = (nn.Conv2d(i, 2, 1) for i in (1, 2, 2, 2))
        self.head = nn.Linear(2, 2)
        self.shorter_first = shorter_first

    def forward(self, images):
        x = functional.relu(self.stem(images))
        longer, shorter = self.b(functional.relu(self.a(x))), self.c(x)
        x = torch.add(shorter, longer) if self.shorter_first else longer + shorter
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("shorter_first", [False, True])
def test_the_shorter_way_to_an_addition_is_the_shortcut(shorter_first):
    assert PathCounter(Block(shorter_first), PIXELS).shortcuts == ("c.weight",)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("digits_cnn", 0),
        ("resnet20", 2),
        ("torchvision:resnet18", 3),
        ("torchvision:resnet50", 4),
        ("torchvision:mobilenet_v2", 0),
    ],
)
def test_known_networks_have_a_projection_wherever_the_width_changes(name, count):
    found = PathCounter(build(name, Task(3, 32, 10), 0), Task(3, 32, 10)).shortcuts
    assert len(found) == count
    assert all("downsample.0" in shortcut for shortcut in found)


def test_an_embedded_position_is_no_shortcut():
    class Embeds(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.where = nn.Linear(1, 2), nn.Linear(2, 2), nn.Embedding(4, 2)

        def forward(self, images):
            return self.two(self.one(images.flatten(1).unsqueeze(2))).mean(1) + self.where(torch.arange(1))

    assert PathCounter(Embeds(), PIXELS).shortcuts == ()


class Decides(nn.Module):
    """Its way depends on the image, which no symbolic trace can follow; on the way it draws random numbers."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, images):
        torch.rand(3)
        return self.fc(images.flatten(1)) if images.sum() > 0 else images


def test_shortcuts_of_a_network_that_cannot_be_traced_are_not_known():
    model, before = Decides(), torch.random.get_rng_state()
    found = PathCounter(model, PIXELS).check(dense(model))
    assert (found.shortcuts, found.shortcut_coverage, found.fault) == (None, None, None)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_trace_leaves_nothing_behind_in_the_users_network():
    class Remembers(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.seen = nn.Linear(4, 2), None

        def forward(self, images):
            self.seen = images.flatten(1)
            return self.fc(self.seen)

    PathCounter(model := Remembers(), PIXELS).check(dense(model))
    assert model.seen is None


def test_a_shortcut_that_was_pruned_away_has_no_coverage():
    """What single-shot SynFlow does to 1 x 1 shortcuts."""
    model = build("resnet20", Task(3, 32, 10), 0)
    masks, name = dense(model), "layer2.0.downsample.0.weight"
    masks[name] = np.zeros_like(masks[name])
    masks[name][:3, 5] = True
    counter = PathCounter(model, Task(3, 32, 10), Limits(shortcut_coverage=0.1))
    found = counter.check(masks)
    assert found.shortcuts == {name: (3, 32), "layer3.0.downsample.0.weight": (64, 64)}
    assert found.shortcut_coverage == 3 / 32
    assert found.fault == f"the shortcut {name} passes 3 of 32 channels, but min_shortcut_coverage = 0.1"
    assert counter.check(dense(model)).fault is None


def test_without_limits_dead_channels_and_closed_shortcuts_are_no_fault():
    assert Connectivity(0.9, (), (), {"fc": ChannelCount(9, 9, 9)}, {"fc": (0, 3)}).fault is None


@pytest.mark.parametrize("between", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softsign])
def test_one_living_unit_among_hundreds_is_found_however_deep_the_network_is(between):
    # The share of what is alive is 1 / 512 in each of 130 layers: its product, 512 ** -130, is no number any more.
    model = mlp(4, *[512] * 129, 2, between=between)
    masks = {name: np.zeros_like(mask) for name, mask in dense(model).items()}
    for mask in masks.values():
        mask[0] = True
    found = PathCounter(model, PIXELS).check(masks)
    assert found.cut == ()
    if between is not nn.Sigmoid:
        # One weight of each layer, but all four of the first. Units without inputs are open where they are sigmoids.
        total = sum(mask.size for mask in masks.values())
        assert found.effective_sparsity == 1 - (129 + 4) / total


def _reached(masks: dict[str, np.ndarray], layers, forward: bool) -> list[np.ndarray]:
    """Which positions of the feature maps are reached, by propagation of booleans, pixel by pixel."""
    order = layers if forward else layers[::-1]
    maps = [np.ones(order[0][1 if forward else 2], dtype=bool)]
    for name, inside, outside, stride in order:
        mask, here = masks[name], maps[-1]
        there = np.zeros(outside if forward else inside, dtype=bool)
        for o, i, dy, dx in np.argwhere(mask):
            for y in range(outside[1]):
                for x in range(outside[2]):
                    v, u = y * stride + dy - 1, x * stride + dx - 1
                    if 0 <= v < inside[1] and 0 <= u < inside[2]:
                        if forward:
                            there[o, y, x] |= here[i, v, u]
                        else:
                            there[i, v, u] |= here[o, y, x]
        maps.append(there)
    return maps if forward else maps[::-1]


@pytest.mark.parametrize("sparsity", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_paths_are_those_of_booleans_that_are_propagated_pixel_by_pixel(sparsity, seed):
    sizes = [(1, 5), (3, 5), (4, 3), (3, 3)]
    layers, convolutions = [], OrderedDict()
    for i, ((inputs, size), (outputs, after)) in enumerate(itertools.pairwise(sizes)):
        stride = 1 if size == after else 2
        convolutions[f"c{i}"] = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        convolutions[f"r{i}"] = nn.ReLU()
        layers.append((f"c{i}.weight", (inputs, size, size), (outputs, after, after), stride))
    model = nn.Sequential(convolutions)
    masks = random_masks(model, sparsity, seed)
    used = PathCounter(model, Task(1, 5, 3)).paths(masks).used
    alive, read = (_reached(masks, layers, forward) for forward in (True, False))
    for position, (name, inside, outside, stride) in enumerate(layers):
        for o, i, dy, dx in np.argwhere(np.ones_like(masks[name])):
            ends = (
                (alive[position][i, y * stride + dy - 1, x * stride + dx - 1], read[position + 1][o, y, x])
                for y in range(outside[1])
                for x in range(outside[2])
                if 0 <= y * stride + dy - 1 < inside[1] and 0 <= x * stride + dx - 1 < inside[2]
            )
            assert used[name][o, i, dy, dx] == (masks[name][o, i, dy, dx] and any(a and b for a, b in ends))


@pytest.mark.parametrize("seed", range(3))
def test_a_removed_weight_completes_a_path_if_it_is_on_one_once_it_is_kept(seed):
    counter = PathCounter(model := mlp(4, 3, 3, 2), PIXELS)
    masks = random_masks(model, 0.7, seed)
    completing = counter.paths(masks).completing
    for name, mask in masks.items():
        for index in np.ndindex(mask.shape):
            kept = {**masks, name: mask.copy()}
            kept[name][index] = True
            assert completing[name][index] == (not mask[index] and counter.paths(kept).used[name][index])


@pytest.mark.parametrize("sparsity", [0.99, 0.999])
def test_a_deep_plain_network_is_found_as_by_enumeration_of_units(sparsity):
    widths = [4, *[40] * 60, 2]
    model = mlp(*widths)
    masks = random_masks(model, sparsity, 0)
    # A thread through all layers, or nothing would be left to be found.
    for mask in masks.values():
        mask[1, 1] = True
    alive, read = [np.ones(4, dtype=bool)], [np.ones(2, dtype=bool)]
    for mask in masks.values():
        alive.append((mask & alive[-1]).any(1))
    for mask in reversed(masks.values()):
        read.append((mask & read[-1][:, None]).any(0))
    read.reverse()
    used = PathCounter(model, PIXELS).paths(masks).used
    for position, (name, mask) in enumerate(masks.items()):
        assert np.array_equal(used[name], mask & alive[position] & read[position + 1][:, None])
