import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from fullspectrum.models.cost import CostCounter, MaskCost, layer_cost
from fullspectrum.models.cost.csr import compressed
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from safetensors.torch import save_file
from torch import nn

from .networks import convolutions, images

TASK = Task(1, 8, 10)


def masks_of(model, density=0.3, seed=0):
    generator = np.random.default_rng(seed)
    return {name: generator.random(tuple(weight.shape)) < density for name, weight in prunable(model).items()}


def written(path, tensors) -> int:
    """Write a safetensors file; return the bytes of its tensors, which follow a header of a length that it names."""
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    content = path.read_bytes()
    return len(content) - 8 - int.from_bytes(content[:8], "little")


def in_rows(model, masks) -> dict[str, torch.Tensor]:
    """Return the state dict with compressed sparse rows in the place of masked weights."""
    state = model.state_dict()
    for name, mask in masks.items():
        rows = compressed(mask, state.pop(name))
        state |= {
            f"{name}.crow": rows.crow_indices(),
            f"{name}.col": rows.col_indices(),
            f"{name}.values": rows.values(),
        }
    return state


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bytes_are_those_of_the_tensors_in_a_file(tmp_path, dtype):
    model = build("digits_cnn", TASK, 0).to(dtype)
    masks = masks_of(model)
    del masks["conv2.weight"]
    cost = CostCounter(model, TASK).cost(masks).network
    assert written(tmp_path / "dense", model.state_dict()) == cost.bytes_dense
    assert written(tmp_path / "rows", in_rows(model, masks)) == cost.bytes_csr


def test_rows_are_those_of_torch():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = torch.rand(5, 3, 2, 2) + 0.1
    mask = np.random.default_rng(0).random(weight.shape) < 0.3
    rows, expected = compressed(mask, weight), (weight * torch.tensor(mask)).flatten(1).to_sparse_csr()
    parts = ("crow_indices", "col_indices", "values")
    for part in parts:
        ours, theirs = getattr(rows, part)(), getattr(expected, part)()
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    size = sum(getattr(expected, part)().numel() * getattr(expected, part)().element_size() for part in parts)
    assert layer_cost(mask).bytes_csr == size


def test_a_kept_weight_of_zero_has_an_entry():
    assert compressed(np.ones((2, 2), bool), torch.zeros(2, 2)).values().numel() == 4


def test_the_network_costs_its_layers_and_the_rest():
    model = build("digits_cnn", TASK, 0)
    masks = masks_of(model)
    cost = CostCounter(model, TASK).cost(masks)
    removed = sum(int((~mask).sum()) for mask in masks.values())
    size = sum(weight.numel() for weight in model.parameters())
    assert (cost.network.parameters_dense, cost.network.parameters) == (size, size - removed)
    assert cost.masked.parameters == sum(int(mask.sum()) for mask in masks.values())
    assert 0 < cost.network.flops < cost.network.flops_dense
    document = cost.to_dict()
    assert document == json.loads(json.dumps(document))
    assert document["layers"]["fc1.weight"] == asdict(cost.layers["fc1.weight"])
    assert document["network"]["flops"] == cost.network.flops


def test_parameters_without_a_mask_are_kept_whole():
    model = build("digits_cnn", TASK, 0)
    counter, masks = CostCounter(model, TASK), masks_of(model)
    whole = {name: np.ones_like(mask) for name, mask in masks.items()}
    part = {"fc1.weight": masks["fc1.weight"]}
    found, expected = counter.cost(part).network, counter.cost(whole | part).network
    assert (found.parameters, found.flops, found.flops_dense) == (
        expected.parameters,
        expected.flops,
        expected.flops_dense,
    )
    # What has no mask is stored dense, and not as rows of all its weights.
    assert found.bytes_csr < expected.bytes_csr and found.bytes_dense == expected.bytes_dense


def test_a_network_that_fails_has_no_known_operations():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            raise RuntimeError("only on Tuesdays")

    cost = CostCounter(Odd(), TASK).cost({"layer.weight": np.eye(2, dtype=bool)})
    assert (cost.network.flops, cost.network.flops_dense, cost.network.parameters) == (None, None, 4)


def test_without_a_network_there_are_parameters_and_bytes():
    mask = np.eye(4, dtype=bool)
    cost = MaskCost({"a": layer_cost(mask), "b": layer_cost(mask)})
    assert cost.network is None
    assert asdict(cost.masked) == {
        "parameters": 8,
        "parameters_dense": 32,
        "bytes_csr": 2 * (5 * 8 + 4 * 8 + 4 * 4),
        "bytes_dense": 128,
        "flops": None,
        "flops_dense": None,
    }


def test_shared_tensors_and_buffers_are_stored_once():
    model = nn.Sequential(nn.Conv2d(1, 2, 8), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 10), nn.Linear(10, 10))
    model[4].bias = model[3].bias
    model.register_buffer("scratch", torch.zeros(99), persistent=False)
    cost = CostCounter(model.eval(), TASK).cost(masks_of(model)).network
    # Weights, their biases, and of the normalisation two parameters, two statistics and a counter of int64.
    assert cost.bytes_dense == 4 * (128 + 20 + 100 + 2 + 10 + 4 + 4) + 8
    assert cost.parameters_dense == 128 + 20 + 100 + 2 + 10 + 4


def test_the_sizes_of_other_convolutions_are_unrolled_by_their_first_axis(tmp_path):
    model = convolutions()
    model(images(4, 7))
    masks = masks_of(model)
    cost = CostCounter(model, Task(4, 7, 5)).cost(masks)
    assert written(tmp_path / "rows", in_rows(model, masks)) == cost.network.bytes_csr
