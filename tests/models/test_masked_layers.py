"""Masks on layers of every kind: removed weights stay zero, in somebody else's loop and in ours."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from fullspectrum.models.formats import export
from fullspectrum.models.masks import MaskSet, apply
from fullspectrum.models.placement import to_channels_last
from fullspectrum.models.training import MaskedTraining, Recipe
from torch import nn

from ..everylayer import EveryLayer

SGD = Recipe(learning_rate=0.05, weight_decay=0.1, batch_size=64)
ADAMW = Recipe(optimizer="adamw", learning_rate=0.003, weight_decay=0.1, batch_size=64)


@pytest.fixture
def masks(random_masks) -> MaskSet:
    return random_masks(EveryLayer(), sparsity=0.5)


def train(model: nn.Module, steps: int = 3, shape: tuple[int, ...] = (1, 8, 8)) -> None:
    """Somebody else's training loop."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        images = torch.randn(16, *shape, generator=generator)
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


def zeroed(model: nn.Module, masks: MaskSet) -> nn.Module:
    """A copy of a plain model with the removed weights at zero."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).mul_(torch.tensor(mask))
    return model


def assert_same_outputs(one: nn.Module, other: nn.Module, shape: tuple[int, ...] = (1, 8, 8)) -> None:
    images = torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            torch.testing.assert_close(one.train(mode)(images), other.train(mode)(images), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("recipe", [SGD, replace(SGD, momentum=0.0), ADAMW])
def test_removed_weights_of_every_layer_are_zero_after_every_step(digits, masks, recipe):
    run = MaskedTraining(EveryLayer(), masks, digits, recipe, 3, 0)
    before = {name: run.model.get_parameter(name).detach().clone() for name in masks}
    for _ in range(3):
        run.run(1)
        for name, mask in masks.items():
            assert torch.count_nonzero(run.model.get_parameter(name)[torch.tensor(~mask)]) == 0
    for name, mask in masks.items():
        assert (run.model.get_parameter(name) != before[name])[torch.tensor(mask)].any(), name


def test_an_applied_mask_acts_as_the_removed_weights_at_zero_would(masks):
    assert_same_outputs(apply(EveryLayer(), masks), zeroed(EveryLayer(), masks))


def test_after_training_in_a_foreign_loop_the_masked_weights_are_those_that_act(masks):
    model = apply(EveryLayer(), masks)
    train(model)
    trained = EveryLayer()
    trained.load_state_dict({name.removesuffix("_orig"): p for name, p in model.named_parameters()})
    assert any(not torch.equal(trained.get_parameter(name), EveryLayer().get_parameter(name)) for name in masks)
    assert_same_outputs(model, zeroed(trained, masks))


def test_the_fast_path_of_attention_sees_the_masked_weights(masks, monkeypatch):
    calls = []
    fast = torch._native_multi_head_attention
    monkeypatch.setattr(torch, "_native_multi_head_attention", lambda *args: calls.append(0) or fast(*args))
    masked, plain = apply(EveryLayer(), masks), zeroed(EveryLayer(), masks)
    train(masked)
    plain.load_state_dict({name.removesuffix("_orig"): p for name, p in masked.named_parameters()})
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(masked.eval()(images), zeroed(plain, masks).eval()(images), rtol=1e-4, atol=1e-6)
    assert len(calls) == 2


class Encoder(nn.Module):
    """A layer of torch's transformer, which has a fast path of its own that calls none of its layers."""

    def __init__(self, *_) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.layer(tokens)


class ReadsItsLayer(nn.Module):
    """Uses the weight of its linear layer without calling the layer, as the attention of Swin does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(tokens, self.layer.weight)


class Tied(nn.Module):
    """One weight that is an embedding and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(8, 8), nn.Linear(8, 8, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(tokens + self.embedding(torch.arange(4)))


@pytest.mark.parametrize("network", [Encoder, ReadsItsLayer, Tied])
def test_weights_that_are_used_without_calling_their_layer_are_masked_all_the_same(
    network: Callable[[], nn.Module], random_masks
):
    plain = network()
    masks = random_masks(plain, sparsity=0.5)
    masked = apply(copy.deepcopy(plain), masks)
    assert_same_outputs(masked, zeroed(plain, masks), shape=(4, 8))
    train(masked, shape=(4, 8))
    named = {name.removesuffix("_orig"): p for name, p in masked.named_parameters()}
    plain.load_state_dict(named, strict=network is not Tied)
    assert_same_outputs(masked, zeroed(plain, masks), shape=(4, 8))


def test_a_removed_mask_leaves_a_plain_model_that_trains(masks):
    model = apply(EveryLayer(), masks)
    train(model)
    for name in masks:
        module, _, leaf = name.rpartition(".")
        nn.utils.prune.remove(model.get_submodule(module), leaf)
    assert model.state_dict().keys() == EveryLayer().state_dict().keys()
    train(model)
    # Nothing holds the removed weights any more, of attention neither.
    assert torch.count_nonzero(model.attention.out_proj.weight) == model.attention.out_proj.weight.numel()


def test_the_export_for_torch_prune_fits_an_applied_mask_of_every_layer(masks, tmp_path):
    export("torch-prune", tmp_path / "best.pt", masks, EveryLayer().state_dict())
    blank = apply(EveryLayer(seed=1), MaskSet({name: np.ones(mask.shape) for name, mask in masks.items()}))
    blank.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True), strict=True)
    assert_same_outputs(blank, zeroed(EveryLayer(), masks))


def test_two_dimensional_convolutions_become_channels_last_beside_all_others():
    model = EveryLayer()
    before = copy.deepcopy(model.state_dict())
    to_channels_last(model)
    assert model.patches.weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
