"""Sources that learn a mask for fixed weights: gradients by hand, tasks with a known mask, and what is left alone."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data, Split
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import Task
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.sources import Setting, source_called
from fullspectrum.search.sources.edge_popup import Top
from fullspectrum.search.sources.gem_miner import Rounded
from fullspectrum.search.sources.setting import SourceTraining
from torch import nn

from ...everylayer import EveryLayer
from ...zoo import byhand, convolutional, tokens

LEARNED = ("gem-miner", "edge-popup")


def setting_of(network: nn.Module, data: Data, kept: int, **changes) -> Setting:
    means = SourceTraining(Recipe(batch_size=16, **changes.pop("recipe", {})))
    return Setting(network, data, kept, **{"rounds": 2, "round_iterations": 2, "training": means} | changes)


def lit(classes: int) -> Data:
    """Images of one lit pixel each, whose place is the label; each pixel is a column of its own."""
    labels = torch.arange(32 * classes) % classes
    images = torch.zeros(len(labels), 1, classes, classes, dtype=torch.uint8)
    images[torch.arange(len(labels)), 0, 0, labels] = 255
    split = Split(images, labels)
    task = Task(1, classes, classes)
    return Data("lit", task, dict.fromkeys(("train", "val", "test"), split), torch.zeros(1), torch.ones(1))


def linear(inputs: int, outputs: int, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


def popped(given: Setting, seed: int) -> Top:
    """The supermask of edge-popup at random scores, after its last step."""
    model, generator = Top(given), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for score in model.scores:
            score.copy_(torch.randn(score.shape, generator=generator))
    model.set_extra_state(given.round_iterations)
    return model


@pytest.mark.parametrize("kind", LEARNED)
def test_the_gradient_of_a_score_is_that_of_its_mask_whether_it_is_kept_or_not(digits, kind):
    """With y = W M x, dL/dM = W * (dL/dy x^T), element by element (Ramanujan et al., equation 2)."""
    network = linear(64, 10)
    given = setting_of(network, digits, kept=100)
    generator = torch.Generator().manual_seed(1)
    scores = torch.rand((10, 64), generator=generator)
    model = Rounded(given, {"1.weight": scores}) if kind == "gem-miner" else popped(given, 1)
    x, upstream = torch.randn((5, 1, 8, 8), generator=generator), torch.randn((5, 10), generator=generator)
    (model(x) * upstream).sum().backward()
    (parameter,) = model.scores
    weight = network[1].weight.detach()
    torch.testing.assert_close(parameter.grad, weight * (upstream.T @ x.flatten(1)))
    assert network[1].weight.grad is None and all(p.grad is None for p in model.network.parameters())


def test_gem_miner_keeps_the_weights_whose_scores_round_to_1(digits):
    network = linear(64, 10)
    scores = torch.rand((10, 64), generator=torch.Generator().manual_seed(1)) * 3 - 1
    model = Rounded(setting_of(network, digits, kept=100), {"1.weight": scores})
    x = torch.randn((5, 1, 8, 8), generator=torch.Generator().manual_seed(2))
    expected = x.flatten(1) @ (network[1].weight * (scores >= 0.5)).T + network[1].bias
    torch.testing.assert_close(model(x), expected)
    (projected,) = model.scores
    assert torch.equal(projected, scores.clamp(0, 1))


def test_edge_popup_keeps_the_top_scores_of_the_network_whatever_their_layer(network, digits):
    model = popped(setting_of(network, digits, kept=5000), 7)
    masks = torch.cat([mask.flatten() for mask in model.masks(list(model.scores))])
    scores = torch.cat([score.detach().flatten() for score in model.scores])
    assert masks.sum() == 5000 and set(masks.tolist()) == {0.0, 1.0}
    assert scores[masks == 1].min() >= scores[masks == 0].max()


def test_edge_popup_begins_dense_and_ends_at_its_budget(digits):
    """The density falls exponentially over three quarters of the steps."""
    network = linear(64, 10)
    model = Top(setting_of(network, digits, kept=6, round_iterations=40))
    counts = []
    for _ in range(40):
        counts.append(sum(int(mask.sum()) for mask in model.masks(list(model.scores))))
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[10], counts[30], counts[-1]) == (640, round(640 * (6 / 640) ** (1 / 3)), 6, 6)
    # Looking at it does not move it on.
    model.eval().masks(list(model.scores))
    assert model.get_extra_state() == 40


@pytest.mark.parametrize("name", LEARNED)
def test_the_weights_that_tell_classes_apart_are_found(name):
    """All weights are the same, so that a class is told by the weight from its own pixel and by no other."""
    network, data = linear(16, 4), lit(4)
    with torch.no_grad():
        network[1].weight.fill_(1.0)
        network[1].bias.zero_()
    recipe = {"learning_rate": 1.0, "schedule": "constant", "momentum": 0.0}
    given = setting_of(network, data, kept=4, rounds=2, round_iterations=40, recipe=recipe)
    scores = source_called(name).scores(given, 0)["1.weight"]
    kept = np.zeros(scores.size, dtype=bool)
    kept[np.argsort(-scores.ravel(), kind="stable")[:4]] = True
    assert np.array_equal(kept.reshape(4, 16)[:, :4], np.eye(4, dtype=bool))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_nothing_moves_but_scores_and_running_statistics(network, digits, monkeypatch, name, optimizer):
    trained, run = [], MaskedTraining.run
    monkeypatch.setattr(MaskedTraining, "run", lambda self, n: (trained.append(self.model), run(self, n))[1])
    before = copy.deepcopy(network.state_dict())
    recipe = {"optimizer": optimizer, "weight_decay": 0.1, "gradient_clip": 1.0, "ema": 0.9}
    # Enough for features to reach every layer.
    source_called(name).scores(setting_of(network, digits, kept=200_000, recipe=recipe), 0)
    state = trained[-1].network.state_dict()
    moved = {key for key, value in state.items() if not torch.equal(value, before[key])}
    assert moved == {key for key in state if "running" in key or "num_batches" in key}
    assert not any(parameter.requires_grad for parameter in trained[-1].network.parameters())


@pytest.mark.parametrize("name", LEARNED)
def test_scores_of_every_kind_of_layer_are_learned(digits, name):
    network = EveryLayer()
    sizes = {key: weight.numel() for key, weight in prunable(network).items()}
    given = setting_of(network, digits, kept=sum(sizes.values()) // 2, recipe={"learning_rate": 0.01})
    scores, others = source_called(name).scores(given, 0), source_called(name).scores(given, 1)
    assert {key: values.size for key, values in scores.items()} == sizes
    # Of another seed's batches.
    assert all(not np.array_equal(scores[key], others[key]) for key in scores)


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("function", [byhand.tied, tokens.vit, convolutional.unet], ids=lambda f: f.__name__)
def test_networks_that_people_have_are_scored(name, function):
    data = stripes_data()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = function(1, 16, 2)
    size = sum(weight.numel() for weight in prunable(network).values())
    scores = source_called(name).scores(setting_of(network, data, kept=size // 5), 0)
    assert [values.shape for values in scores.values()] == [tuple(w.shape) for w in prunable(network).values()]


def stripes_data() -> Data:
    from fullspectrum.models.data import load

    from ...zoo import stripes

    return load(f"{stripes.__name__}:stripes")


def test_a_weight_of_two_layers_has_one_score_and_one_mask(digits):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
            self.other.weight = self.one.weight

        def forward(self, images):
            return self.head(self.other(self.one(images.flatten(1))))

    network = Tied()
    model = Rounded(
        setting_of(network, digits, kept=100),
        {"one.weight": torch.zeros(64, 64), "head.weight": torch.ones(10, 64)},
    )
    images = torch.randn((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    # Without its weight a layer returns its bias.
    expected = network.head(network.other.bias).expand(3, 10)
    assert len(model.scores) == 2
    torch.testing.assert_close(model(images), expected)


def test_gem_miner_goes_on_from_the_scores_of_the_round_before(network, digits, monkeypatch):
    given = setting_of(network, digits, kept=5000)
    starts, ends, begin, carried = [], [], type(source_called("gem-miner")).begin, None
    kind = type(source_called("gem-miner"))
    carried = kind.carried

    def begun(self, *arguments):
        model, masks = begin(self, *arguments)
        starts.append((model.scores_by_name(), masks))
        return model, masks

    monkeypatch.setattr(kind, "begin", begun)
    monkeypatch.setattr(kind, "carried", lambda self, model: ends.append(carried(self, model)) or ends[-1])
    source_called("gem-miner").scores(given, 0)
    (_, first), (second_start, second) = starts
    assert first.sparsity == 0 and 0 < second.sparsity < 1
    last_of_first = ends[1]
    assert all(torch.equal(second_start[name], last_of_first[name]) for name in second_start)
    # Removed scores are held at 0 from then on.
    for name, mask in zip(second_start, second.values(), strict=True):
        assert not ends[-1][name][torch.tensor(~mask)].any()


@pytest.mark.parametrize("name", LEARNED)
def test_what_a_mask_of_half_precision_learns_is_kept_in_single(digits, name):
    network = linear(64, 10).bfloat16()
    given = setting_of(network, digits, kept=100)
    model = Top(given) if name == "edge-popup" else Rounded(given, {"1.weight": torch.full((10, 64), 0.75)})
    assert model(torch.zeros(2, 1, 8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert [score.dtype for score in model.scores] == [torch.float32]
    assert source_called(name).scores(given, 0)["1.weight"].shape == (10, 64)


def test_edge_popup_trains_once_for_as_long_as_all_rounds(network, digits, monkeypatch):
    lengths, made = [], Setting.masked_training
    monkeypatch.setattr(
        Setting, "masked_training", lambda self, *a: lengths.append(made(self, *a).total_iterations) or made(self, *a)
    )
    given = setting_of(network, digits, kept=5000, rounds=3, round_iterations=2)
    source_called("edge-popup").scores(given, 0)
    assert lengths == [6] == [source_called("edge-popup").cost(given)]
    source_called("edge-popup").check(dataclasses.replace(given, rounds=10**6))
