"""The guard: collapsed layers, input-output paths, effective sparsity."""

import copy
import itertools
from collections import OrderedDict

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Task
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.search.guards.connectivity import Connectivity
from fullspectrum.search.guards.counter import PathCounter
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

PIXELS = Task(channels=1, size=2, classes=2)


def mlp(*widths: int) -> nn.Module:
    """Linear layers called fc0, fc1, …, with ReLU between them."""
    layers: list[tuple[str, nn.Module]] = [("flat", nn.Flatten())]
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers += [(f"fc{i}", nn.Linear(inputs, outputs)), (f"relu{i}", nn.ReLU())]
    return nn.Sequential(OrderedDict(layers[:-1]))


def check(model: nn.Module, masks=None, task: Task = PIXELS) -> Connectivity:
    """The connectivity of a model under `masks`, all other layers dense."""
    dense = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    masks = {name: np.array(mask, dtype=bool) for name, mask in (masks or {}).items()}
    assert masks.keys() <= dense.keys()
    return PathCounter(model, task).check(dense | masks)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("digits_cnn", Task(1, 8, 10)),
        ("resnet20", Task(3, 32, 10)),
        ("torchvision:resnet18", Task(3, 32, 10)),
        ("torchvision:mobilenet_v2", Task(3, 64, 10)),
        ("torchvision:regnet_y_400mf", Task(3, 64, 10)),
        ("torchvision:squeezenet1_1", Task(3, 64, 10)),
    ],
)
def test_every_weight_of_a_dense_network_lies_on_a_path(name, task):
    assert check(build(name, task, 0), task=task) == Connectivity(0.0, (), ())


def test_a_weight_from_a_dead_unit_is_not_effective():
    # Unit 0 has no input: its two outgoing weights are kept, but lie on no path. 4 + 4 = 8 of 12 removed or dead.
    found = check(mlp(4, 2, 2), {"fc0.weight": [[0, 0, 0, 0], [1, 1, 0, 0]], "fc1.weight": [[1, 1], [1, 1]]})
    assert found == Connectivity(1 - 4 / 12, (), ())
    assert found.fault is None


def test_a_weight_into_a_unit_that_feeds_nothing_is_not_effective():
    found = check(mlp(4, 2, 2), {"fc1.weight": [[1, 0], [1, 0]]})
    assert found.effective_sparsity == 1 - (4 + 2) / 12


def test_a_bias_is_no_path():
    model = mlp(4, 2, 2)
    nn.init.constant_(model.fc0.bias, 3.0)
    assert check(model, {"fc0.weight": np.zeros((2, 4))}).effective_sparsity == 1


def test_a_collapsed_layer_is_a_fault_that_names_it():
    found = check(mlp(4, 2, 3, 2), {"fc1.weight": np.zeros((3, 2))})
    assert found.collapsed == ("fc1.weight",)
    assert found.fault == "collapsed: nothing is kept of fc1.weight"
    assert found.cut == ("fc0.weight", "fc2.weight")


def test_layers_that_do_not_meet_leave_no_path():
    found = check(mlp(4, 2, 2), {"fc0.weight": [[1, 1, 1, 1], [0, 0, 0, 0]], "fc1.weight": [[0, 1], [0, 1]]})
    assert found == Connectivity(1.0, (), ("fc0.weight", "fc1.weight"))
    assert found.fault == "no path from the input to an output"


class Residual(nn.Module):
    """A branch of two linear layers around an identity, and a head."""

    def __init__(self, scale: float | None = None):
        super().__init__()
        self.stem, self.one, self.two, self.head = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.full((3,), scale)) if scale is not None else 1.0

    def forward(self, images):
        x = torch.relu(self.stem(images.flatten(1)))
        return self.head(x + self.scale * self.two(torch.relu(self.one(x))))


def test_a_dead_residual_branch_is_reported_and_no_fault():
    upper, lower = np.zeros((3, 3)), np.zeros((3, 3))
    upper[0], lower[:, 1] = 1, 1
    found = check(Residual(), {"one.weight": upper, "two.weight": lower})
    assert found == Connectivity(1 - (12 + 6) / 36, (), ("one.weight", "two.weight"))
    assert found.fault is None


def test_a_collapsed_residual_branch_is_a_fault_all_the_same():
    found = check(Residual(), {"one.weight": np.zeros((3, 3))})
    assert found.fault == "collapsed: nothing is kept of one.weight"
    assert found.effective_sparsity == 1 - (12 + 6) / 36


@pytest.mark.parametrize("scale", [1e-6, 0.0, -1.0])
def test_a_branch_with_a_learned_scale_is_connected_whatever_the_scale(scale):
    assert check(Residual(scale)) == Connectivity(0.0, (), ())


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveMaxPool2d(2), nn.AdaptiveAvgPool2d(2)])
def test_every_position_under_a_pool_is_connected(pool):
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 1), pool=pool, flat=nn.Flatten(), fc=nn.Linear(8, 2)))
    # Channel 0 feeds the first four features, channel 1 the others.
    fc = np.zeros((2, 8))
    fc[0, 0] = 1
    found = check(model, {"fc.weight": fc}, Task(1, 4, 2))
    assert found.effective_sparsity == 1 - (1 + 1) / (2 + 16)


def test_whichever_position_wins_a_maximum_all_of_them_are_connected():
    # Weights of one output that looks at two pixels, and a maximum over the outputs' four positions.
    layers = OrderedDict(
        conv=nn.Conv2d(1, 1, 3, padding=1), pool=nn.MaxPool2d(2), flat=nn.Flatten(), fc=nn.Linear(1, 2)
    )
    assert check(nn.Sequential(layers)) == Connectivity(0.0, (), ())


def test_normalisation_neither_cuts_nor_makes_paths():
    model = nn.Sequential(
        OrderedDict(conv=nn.Conv2d(1, 2, 1), norm=nn.BatchNorm2d(2), flat=nn.Flatten(), fc=nn.Linear(8, 2))
    )
    nn.init.constant_(model.norm.weight, -1.0)
    nn.init.constant_(model.norm.bias, 5.0)
    model.norm.running_mean.fill_(100.0)
    assert check(model) == Connectivity(0.0, (), ())
    # Channel 1 has no input any more: half of the linear layer's weights lie on no path.
    assert check(model, {"conv.weight": [[[[1]]], [[[0]]]]}).effective_sparsity == 1 - (1 + 8) / 18


class Gated(nn.Module):
    """Squeeze and excitation: a product of the features and a gate that looks at them."""

    def __init__(self):
        super().__init__()
        self.stem, self.squeeze, self.head = nn.Linear(4, 2), nn.Linear(2, 2), nn.Linear(2, 2)
        self.gate = nn.Sigmoid()

    def forward(self, images):
        x = torch.relu(self.stem(images.flatten(1)))
        return self.head(x * self.gate(self.squeeze(x)))


def test_a_gate_that_sees_nothing_stays_open():
    assert check(Gated()) == Connectivity(0.0, (), ())
    # The gate's unit 0 has no input; the features pass all the same.
    assert check(Gated(), {"squeeze.weight": [[0, 0], [1, 1]]}) == Connectivity(1 - 14 / 16, (), ())


def test_a_negative_weight_connects_as_well_as_a_positive_one():
    model = mlp(4, 2, 2)
    for weight in prunable(model).values():
        nn.init.constant_(weight, -1.0)
    assert check(model) == Connectivity(0.0, (), ())


def _effective_by_enumeration(masks: list[np.ndarray]) -> int:
    """Weights on a path, by walking every path of a multilayer perceptron."""
    used = [np.zeros_like(mask) for mask in masks]
    units = [range(masks[0].shape[1]), *(range(mask.shape[0]) for mask in masks)]
    for path in itertools.product(*units):
        steps = list(zip(path[1:], path[:-1], strict=True))
        if all(mask[step] for mask, step in zip(masks, steps, strict=True)):
            for one, step in zip(used, steps, strict=True):
                one[step] = True
    return sum(int(one.sum()) for one in used)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.floats(0.2, 0.9), st.integers(0, 10_000))
def test_effective_sparsity_is_that_of_enumerated_paths(hidden, density, seed):
    model = mlp(4, *hidden, 2)
    generator = np.random.default_rng(seed)
    masks = {name: generator.random(tuple(w.shape)) < density for name, w in prunable(model).items()}
    total = sum(mask.size for mask in masks.values())
    found = check(model, masks)
    assert found.effective_sparsity == 1 - _effective_by_enumeration(list(masks.values())) / total
    assert found.collapsed == tuple(name for name, mask in masks.items() if not mask.any())


def test_one_weight_in_each_layer_of_a_deep_network_is_a_path():
    # Numbers of a hundred layers neither vanish nor overflow.
    model = mlp(4, *[30] * 100, 2)
    masks = {name: np.zeros(tuple(w.shape)) for name, w in prunable(model).items()}
    for mask in masks.values():
        mask[1, 1] = 1
    total = sum(mask.size for mask in masks.values())
    assert check(model, masks) == Connectivity(1 - 101 / total, (), ())
    assert check(model) == Connectivity(0.0, (), ())


@pytest.mark.parametrize("activation", [nn.ReLU6(), nn.Hardtanh(), nn.Sigmoid(), nn.Hardsigmoid()])
def test_an_activation_with_a_bound_does_not_cut_the_path_of_large_values(activation):
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.activation, self.head = nn.Linear(4, 3), activation, nn.Linear(3, 2)

        def forward(self, images):
            return self.head(self.activation(1000 * self.fc(images.flatten(1))))

    assert check(Growing()) == Connectivity(0.0, (), ())


def test_the_counter_keeps_nothing_of_earlier_masks():
    counter = PathCounter(model := mlp(4, 2, 2), PIXELS)
    dense = {name: np.ones(tuple(w.shape), dtype=bool) for name, w in prunable(model).items()}
    dead = dense | {"fc0.weight": np.zeros((2, 4), dtype=bool)}
    assert [counter.check(m).effective_sparsity for m in (dense, dead, dense)] == [0.0, 1.0, 0.0]


def test_the_model_and_the_global_generators_are_left_as_they_were():
    model = build("digits_cnn", Task(1, 8, 10), 0).train()
    before = copy.deepcopy(model.state_dict())
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    check(model, task=Task(1, 8, 10))
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None and p.dtype == torch.float32 for p in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid(), nn.Tanh()])
def test_a_network_that_ends_in_a_bounded_function_is_connected(last):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), last)
    mask = np.ones((10, 64), bool)
    mask[:, 5] = False
    assert PathCounter(model, Task(1, 8, 10)).check({"1.weight": mask}).effective_sparsity == pytest.approx(1 / 64)


@pytest.mark.parametrize(("name", "size"), [("vit_b_16", 224), ("swin_t", 64), ("mobilenet_v3_small", 64)])
def test_a_dense_network_of_torchvision_is_connected_but_for_kernels_that_see_only_padding(name, size):
    task = Task(3, size, 10)
    model = build(f"torchvision:{name}", task, 0)
    found = PathCounter(model, task).check({n: np.ones(w.shape, bool) for n, w in prunable(model).items()})
    assert found.fault is None
    # At 64 pixels the last feature maps are two pixels wide: of a 5 x 5 kernel at most 3 x 3 positions see them.
    depthwise = sum(w.numel() for w in prunable(model).values() if w.ndim == 4 and w.shape[-1] == 5)
    total = sum(w.numel() for w in prunable(model).values())
    assert found.effective_sparsity <= depthwise * 16 / 25 / total
