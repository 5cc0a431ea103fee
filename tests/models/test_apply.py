import copy

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet, apply
from torch import nn
from torch.nn.utils import prune


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))


def train(model: nn.Module, steps: int = 5) -> None:
    """Somebody else's training loop."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        images = torch.randn(16, 1, 8, 8, generator=generator)
        labels = torch.randint(10, (16,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def test_a_foreign_training_loop_keeps_removed_weights_at_zero(random_masks):
    model = network()
    masks = random_masks(model, sparsity=0.7)
    before = model[4].weight.detach().clone()
    assert apply(model, masks) is model
    train(model)
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, 1, 8, 8))
    for name in ("0", "4"):
        weight = model.get_submodule(name).weight
        assert torch.count_nonzero(weight[torch.tensor(~masks[f"{name}.weight"])]) == 0
    kept = torch.tensor(masks["4.weight"])
    assert (model[4].weight[kept] != before[kept]).any()


def test_apply_does_what_torch_prune_does(random_masks):
    model = network()
    masks = random_masks(model)
    expected = copy.deepcopy(model)
    for name in ("0", "4"):
        prune.custom_from_mask(expected.get_submodule(name), "weight", torch.tensor(masks[f"{name}.weight"]))
    applied = apply(model, masks).state_dict()
    assert list(applied) == list(expected.state_dict())
    assert all(torch.equal(applied[name], tensor) for name, tensor in expected.state_dict().items())


def test_a_mask_for_a_part_of_the_model_leaves_the_rest_dense():
    model = apply(network(), MaskSet({"4.weight": np.zeros((10, 144))}))
    assert "0.weight" in dict(model.named_parameters()) and "4.weight_orig" in dict(model.named_parameters())


def test_a_bare_layer_can_be_masked():
    layer = apply(nn.Linear(2, 1), MaskSet({"weight": [[1, 0]]}))
    assert layer.weight[0, 1] == 0


def test_masks_of_a_plain_model_apply_to_a_wrapped_one(random_masks):
    model = network()
    masks = random_masks(model)
    apply(nn.DataParallel(model), masks)
    assert prune.is_pruned(model)


def test_masks_of_a_bare_layer_apply_to_a_wrapped_one():
    layer = nn.Linear(2, 1)
    apply(nn.DataParallel(layer), MaskSet({"weight": [[1, 0]]}))
    assert layer.weight[0, 1] == 0


def test_masks_that_do_not_fit_leave_the_model_untouched():
    model = network()
    with pytest.raises(InputError, match="5.weight"):
        apply(model, MaskSet({"4.weight": np.zeros((10, 144)), "5.weight": [1]}))
    assert not prune.is_pruned(model)


@pytest.mark.parametrize("name", ["0.weight", "1.weight"])
def test_a_shared_weight_is_masked_under_any_of_its_names(name):
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    apply(model, MaskSet({name: [[1, 0], [1, 0]]}))
    assert not model[0].weight[:, 1].any() and not model[1].weight[:, 1].any()


def test_a_model_that_is_pruned_already_is_refused(random_masks):
    model = network()
    masks = random_masks(model)
    apply(model, masks)
    with pytest.raises(InputError, match="pruned already"):
        apply(model, masks)
