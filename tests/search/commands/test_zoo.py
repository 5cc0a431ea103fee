"""Networks that people have, from `layers` to an export that the receiving network loads."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.formats import export
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet, apply
from fullspectrum.models.networks import Task, build, initial_state
from fullspectrum.models.weights import load_state
from fullspectrum.search.cli import main
from fullspectrum.search.guards.counter import PathCounter
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from ...counting import counted
from ...zoo import byhand, convolutional, libraries, stripes, tokens

TASK = Task(channels=1, size=16, classes=2)
DATA = f"{stripes.__name__}:stripes"
SPARSITY = 0.7

#: Each network with the greatest fraction of weights that a random mask loses besides those that it removes.
NETWORKS = {
    # A normalisation makes each feature depend on all others, and a residual sum keeps them: lost are the weights of
    # the few hidden units all of whose outputs are removed (0.7 ^ 16 = 0.3 % of them).
    convolutional.convnext: 0.002,
    tokens.swin: 0.002,
    tokens.packed_vit: 0.002,
    tokens.vit: 0.002,
    tokens.mixer: 0.002,
    byhand.normalised: 0.002,
    libraries.timm_vit: 0.002,
    libraries.transformers_vit: 0.002,
    # Its last filters of 7 x 7 have images of 2 x 2, so that most of their weights see padding alone.
    libraries.timm_convnext: 0.03,
    # Batch normalisation connects no features: those without a weight before or after them are lost.
    convolutional.efficientnet: 0.02,
    convolutional.unet: 0.02,
    convolutional.densenet: 0.02,
    byhand.tied: 0.02,
    # A chain: 0.7 ^ 2 of 32 features are read by none of two classes, and with each 32 of all 1,232 weights are lost,
    # a share of 0.3 of which is kept.
    byhand.standardised: 0.15,
}

#: Weights that a network computes others from.
COMPUTED = {byhand.standardised: {"3.weight"}}

pytestmark = pytest.mark.parametrize("function", NETWORKS, ids=lambda function: function.__name__)


def named(function) -> str:
    return f"{function.__module__}:{function.__name__}"


def drawn(function, source: str, folder: Path) -> MaskSet:
    """The mask that the command draws."""
    file = folder / f"{source}.safetensors"
    arguments = ["--model", named(function), "--data", DATA, "--source", source, "--sparsity", str(SPARSITY)]
    assert main(["sample", *arguments, "-o", str(file)]) == 0
    return MaskSet.load(file)


def weights_of(model: nn.Module) -> set[str]:
    """The weights of all layers, a shared one under its first name."""
    layers = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.MultiheadAttention
    shared = {id(parameter): name for name, parameter in reversed(list(model.named_parameters()))}
    return {
        shared[id(weight)]
        for module in model.modules()
        if isinstance(module, layers)
        for leaf, weight in module.named_parameters(recurse=False)
        if leaf.endswith("weight")
    }


def test_it_is_listed_drawn_scored_trained_and_exported(function, tmp_path, capsys):
    model = build(named(function), TASK, 0)
    assert main(["layers", "--model", named(function), "--data", DATA]) == 0
    capsys.readouterr()
    assert main(["layers", "--model", named(function), "--data", DATA, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert set(listed["layers"]) == weights_of(model) - COMPUTED.get(function, set())
    assert COMPUTED.get(function, set()) <= set(listed["never_pruned"])

    counter = PathCounter(model, TASK)
    assert counter.estimated is None
    for source in ("magnitude", "snip", "random"):
        masks = drawn(function, source, tmp_path)
        assert set(masks) == set(listed["layers"])
        assert masks.kept == round((1 - SPARSITY) * listed["weights"])
        effective = counter.check(masks).effective_sparsity
        assert f"effective {effective:.4f}, " in capsys.readouterr().out
        assert effective >= masks.sparsity
    assert effective <= masks.sparsity + NETWORKS[function]

    file, trained = tmp_path / "random.safetensors", tmp_path / "trained.safetensors"
    assert main(["score", str(file), "--model", named(function), "--chance", "2"]) == 0
    recipe = ["--set", "final.epochs=1", "--set", "training.batch_size=32"]
    assert main(["train", str(file), "--model", named(function), "--data", DATA, *recipe, "-o", str(trained)]) == 0
    before, after = initial_state(model), load_state(trained)
    for name, mask in masks.items():
        kept = torch.tensor(mask)
        assert not after[name][~kept].any() and not torch.equal(after[name][kept], before[name][kept])

    exported = tmp_path / "mask.pt"
    export("torch-prune", exported, masks, before)
    received = receiving(function, set(masks))
    received.load_state_dict(torch.load(exported, weights_only=True), strict=True)
    images = torch.randn(4, TASK.channels, TASK.size, TASK.size)
    expected = apply(model, masks).eval()(images)
    assert torch.equal(refreshed(received).eval()(images), expected)


def receiving(function, names: set[str]) -> nn.Module:
    """A new network of the function, pruned by torch wherever a layer has one of the weights."""
    model = function(TASK.channels, TASK.size, TASK.classes)
    wanted = {id(model.get_parameter(name)) for name in names}
    for module in list(model.modules()):
        for leaf, parameter in list(module.named_parameters(recurse=False)):
            if id(parameter) in wanted:
                prune.identity(module, leaf)
    return model


def refreshed(model: nn.Module) -> nn.Module:
    """The network with each pruned weight computed: attention reads one without calling its layer."""
    for module in model.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, prune.BasePruningMethod):
                hook(module, None)
    return model


@pytest.mark.parametrize("sparsity", [0.5, 0.7])
def test_the_weights_on_its_paths_are_those_that_its_outputs_have_a_derivative_by(function, sparsity, monkeypatch):
    # A ReLU may be off for all images of a few draws, which says nothing of its paths; a GELU has the same.
    monkeypatch.setattr(F, "relu", F.gelu)
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: F.gelu(x))
    model = build(named(function), TASK, 0)
    generator = np.random.default_rng(0)
    masks = {name: generator.random(tuple(weight.shape)) >= sparsity for name, weight in prunable(model).items()}
    # The count does not see into torch's own attention; packed attention has the same paths.
    other = build(named(tokens.packed_vit), TASK, 0) if function is tokens.vit else model
    expected = counted(other, dict(zip(prunable(other), masks.values(), strict=True)), TASK)
    used = PathCounter(model, TASK).paths(masks).used
    for (name, found), wanted in zip(used.items(), expected.values(), strict=True):
        assert not (wanted & ~found).any(), name
        # A softmax takes no notice of what is added to all its scores: of a query whose key is constant. No operation
        # alone says so.
        assert np.array_equal(found, wanted) or "qkv" in name, name
