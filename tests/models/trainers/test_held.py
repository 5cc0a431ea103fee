import copy

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import initial_state
from fullspectrum.models.trainers.held import HeldMask
from torch import nn

from .networks import batch, check_moved, hard, loss, removed

OPTIMIZERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=0.1),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_removed_weights_are_zero_after_every_step_and_kept_ones_move(optimizer):
    network, masks = hard()
    before = initial_state(network)
    held = HeldMask(network, masks)
    assert not removed(network, masks).any()
    optimizer = OPTIMIZERS[optimizer](network.parameters())
    optimizer.register_step_post_hook(held.zero)
    for step in range(4):
        optimizer.zero_grad()
        loss(network, batch(step)).backward()
        optimizer.step()
        assert not removed(network, masks).any()
    check_moved(network, masks, before)
    assert network.head.weight is network.embedding.weight
    assert held.finish() == held.sparsity == masks.sparsity


def test_without_the_mask_momentum_moves_removed_weights():
    network, masks = hard()
    HeldMask(network, masks)
    optimizer = OPTIMIZERS["sgd"](network.parameters())
    loss(network, batch()).backward()
    optimizer.step()
    assert removed(network, masks).any()


def test_the_network_is_that_of_somebody_who_sets_removed_weights_to_zero():
    # No parametrisation, no buffers: a checkpoint of the network is one of a dense network.
    network, masks = hard()
    plain = copy.deepcopy(network)
    parameters = dict(network.named_parameters())
    HeldMask(network, masks)
    for name, mask in masks.items():
        dict(plain.named_parameters())[name].data[torch.tensor(~mask)] = 0
    assert dict(network.named_parameters()) == parameters
    state, expected = network.state_dict(), plain.state_dict()
    assert list(state) == list(expected) and all(torch.equal(state[name], expected[name]) for name in state)


def test_a_shared_weight_is_held_under_any_of_its_names():
    network, masks = hard()
    other = {name.replace("embedding", "head"): mask for name, mask in masks.items()}
    HeldMask(network, MaskSet(other))
    assert not removed(network, masks).any()


def test_masks_are_read_from_a_file(tmp_path):
    network, masks = hard()
    held = HeldMask(network, masks.save(tmp_path / "best.safetensors"))
    assert held.sparsity == masks.sparsity
    assert str(held) == f"a mask holds 4 layers at sparsity {masks.sparsity:.4f} ({masks.size:,} weights)"


def test_masks_that_fit_a_submodule_name_it():
    network, masks = hard()
    # Were it alone, its prefix would not count.
    module = nn.ModuleDict({"net": network, "teacher": hard()[0]})
    with pytest.raises(InputError, match=r'they fit its submodule "net": MaskCallback\(…, network="net"\)'):
        HeldMask(module, masks)
    with pytest.raises(InputError, match="unexpected nosuch$"):
        HeldMask(module, MaskSet({"nosuch": [1]}))


def test_a_mask_that_removes_nothing_is_said():
    network, masks = hard()
    with pytest.warns(UserWarning, match="removes none of the 400 weights"):
        HeldMask(network, MaskSet({name: np.ones_like(mask) for name, mask in masks.items()}))


def test_weights_that_something_else_has_changed_are_said():
    network, masks = hard()
    held = HeldMask(network, masks)
    with torch.no_grad():
        network.convolution.weight.fill_(1)
    count = int((~masks["convolution.weight"]).sum())
    with pytest.warns(UserWarning, match=f"{count} removed weights are not zero"):
        assert held.finish() == pytest.approx(masks.sparsity - count / masks.size)
