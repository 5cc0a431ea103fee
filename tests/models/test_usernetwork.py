"""The networks that users' functions return: which are refused, and what stays dense in the others."""

import copy

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import FROZEN, prunable, unsupported
from fullspectrum.models.networks import adaptations, build
from fullspectrum.models.task import Task
from torch import nn
from torch.nn.utils import prune

TASK = Task(1, 6, 2)


def network(channels, size, classes):
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * (size - 2) ** 2, classes))


def scripted(channels, size, classes):
    return torch.jit.script(network(channels, size, classes))


def traced(channels, size, classes):
    return torch.jit.trace(network(channels, size, classes), torch.ones(1, channels, size, size))


def partly_scripted(channels, size, classes):
    model = network(channels, size, classes)
    model[0] = torch.jit.script(model[0])
    return model


def without_values(channels, size, classes):
    with torch.device("meta"):
        return network(channels, size, classes)


def partly_without_values(channels, size, classes):
    model = network(channels, size, classes)
    model.register_buffer("mean", torch.ones(1, device="meta"))
    return model


def frozen(channels, size, classes):
    return network(channels, size, classes).requires_grad_(False)


def sparse(channels, size, classes):
    model = network(channels, size, classes)
    model.register_buffer("graph", torch.eye(3).to_sparse())
    return model


def sparse_in_rows(channels, size, classes):
    model = network(channels, size, classes)
    model.graph = nn.Parameter(torch.eye(3).to_sparse_csr())
    return model


def in_one_memory(channels, size, classes):
    model = network(channels, size, classes).append(nn.Linear(classes, classes)).append(nn.Linear(classes, classes))
    model[5].weight = nn.Parameter(model[4].weight.data)
    return model


def pruned(channels, size, classes):
    model = network(channels, size, classes)
    prune.l1_unstructured(model[0], "weight", 0.5)
    prune.random_unstructured(model[3], "bias", 1)
    return model


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:Sparse CSR")
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (scripted, "TorchScript, whose layers .* without torch.jit.script and torch.jit.trace"),
        (traced, "TorchScript, whose layers"),
        (partly_scripted, r"TorchScript \(0\), whose layers"),
        (without_values, 'a network without values: 0.weight is on the device "meta"; build it on the CPU'),
        (partly_without_values, 'without values: mean is on the device "meta"'),
        (frozen, r"all of whose parameters are frozen .* unfreeze .* \(requires_grad_\(\)\)"),
        (sparse, r"a sparse tensor: graph is torch.sparse_coo; make it dense \(to_dense\(\)\)"),
        (sparse_in_rows, "a sparse tensor: graph is torch.sparse_csr"),
        (in_one_memory, r"one memory, 4.weight and 5.weight; share one parameter \(5.weight = 4.weight\), or .*clone"),
        (pruned, r"pruned already \(0.weight and 1 more\); call torch.nn.utils.prune.remove on each"),
    ],
)
def test_what_cannot_be_pruned_is_refused_in_one_line_with_the_way_out(function, message):
    with pytest.raises(InputError, match=f'^"{__name__}:{function.__name__}" returned .*{message}') as caught:
        build(f"{__name__}:{function.__name__}", TASK, 0)
    assert "\n" not in str(caught.value)


def unpruned(channels, size, classes):
    model = pruned(channels, size, classes)
    prune.remove(model[0], "weight")
    prune.remove(model[3], "bias")
    return model


def test_a_network_whose_masks_are_removed_can_be_pruned():
    assert list(prunable(build(f"{__name__}:unpruned", TASK, 0))) == ["0.weight", "3.weight"]


def partly_frozen(channels, size, classes):
    model = network(channels, size, classes)
    model[0].requires_grad_(False)
    return model


def test_frozen_weights_are_left_dense_also_in_copies():
    model = build(f"{__name__}:partly_frozen", TASK, 0)
    for each in (model, copy.deepcopy(model).requires_grad_()):
        assert list(prunable(each)) == ["3.weight"] and unsupported(each) == {"0.weight": FROZEN}


def weight_normed_by_a_hook(channels, size, classes):
    model = network(channels, size, classes)
    nn.utils.weight_norm(model[0])
    return model


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_norm_by_a_hook_can_be_copied_and_trained():
    model = copy.deepcopy(build(f"{__name__}:weight_normed_by_a_hook", TASK, 0))
    model(torch.ones(1, 1, 6, 6)).sum().backward()
    assert list(prunable(model)) == ["3.weight"] and model[0].weight_v.grad.any()


class Network(nn.Sequential):
    """A network whose methods others change."""

    def __init__(self, channels, size, classes):
        super().__init__(nn.Flatten(), nn.Linear(channels * size**2, classes))


class WithoutReturn(Network):
    def train(self, mode=True):
        super().train(mode)


class WithoutModes(Network):
    def train(self, mode=True):
        raise RuntimeError("evaluation alone")


class LoadsNothing(Network):
    def load_state_dict(self, *arguments, **options):
        raise RuntimeError("give a path")


class WithoutState(Network):
    def state_dict(self, *arguments, **options):
        return {}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (WithoutReturn, r"whose train\(\) returns a NoneType; end it with return self"),
        (WithoutModes, r"mode or state cannot be set \(RuntimeError: evaluation alone\)"),
        (LoadsNothing, r"mode or state cannot be set \(RuntimeError: give a path\)"),
        (WithoutState, r"Error\(s\) in loading state_dict"),
    ],
)
def test_a_network_whose_modes_or_state_cannot_be_set_is_refused(function, message):
    with pytest.raises(InputError, match=message):
        build(f"{__name__}:{function.__name__}", TASK, 0)


class AnyAttribute(nn.Module):
    def __init__(self, channels, size, classes):
        super().__init__()
        self.layer = nn.Linear(channels * size**2, classes)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return 0


def test_a_network_that_has_every_attribute_can_be_pruned():
    model = build(f"{__name__}:AnyAttribute", TASK, 0)
    assert list(prunable(model)) == ["layer.weight"]
    assert adaptations(model) == ()
