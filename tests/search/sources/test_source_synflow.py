"""SynFlow: closed forms of linear networks, its conservation law, and the layers that it does not empty."""

import copy
from collections import Counter

import numpy as np
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.guards.counter import PathCounter
from fullspectrum.search.sources import Setting, source_called
from torch import nn


def scores_of(network: nn.Module, data: Data, kept: int, rounds: int = 1) -> dict[str, np.ndarray]:
    return source_called("synflow").scores(Setting(network, data, kept, rounds=rounds), 0)


def shares(scores: dict[str, np.ndarray]) -> np.ndarray:
    """All scores as parts of their sum: one round divides them by one number."""
    flat = np.concatenate([values.ravel() for values in scores.values()])
    return flat / flat.sum()


def magnitudes(layer: nn.Module) -> np.ndarray:
    return layer.weight.detach().abs().double().numpy()


def test_the_flow_of_a_linear_layer_is_its_magnitude(digits):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    expected = shares({"1.weight": magnitudes(network[1])})
    np.testing.assert_allclose(shares(scores_of(network, digits, 64)), expected, rtol=1e-12)


def test_the_flow_of_two_layers_is_the_sum_over_the_paths_through_the_weight(digits):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 10))
    first, second = magnitudes(network[1]), magnitudes(network[3])
    reaches = first.sum(1) + network[1].bias.detach().abs().double().numpy()
    expected = shares({"1.weight": first * second.sum(0)[:, None], "3.weight": second * reaches})
    np.testing.assert_allclose(shares(scores_of(network, digits, 64)), expected, rtol=1e-12)


def test_every_layer_carries_the_same_flow(digits):
    # Theorem 1 of the paper, summed over a layer; biases carry flow past the layers below them, so there are none.
    network = build("digits_cnn", digits.task, 0)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    sums = [values.sum() for values in scores_of(network, digits, 1000).values()]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-9)


def test_no_layer_is_emptied_where_one_round_empties_some(digits):
    # Maximal critical compression (theorem 3): at 300 of half a million weights every layer keeps some, and paths.
    network = build("digits_cnn", digits.task, 0)
    kept = {rounds: {n: s >= 1 for n, s in scores_of(network, digits, 300, rounds).items()} for rounds in (1, 100)}
    assert {sum(int(mask.sum()) for mask in masks.values()) for masks in kept.values()} == {300}
    assert any(not mask.any() for mask in kept[1].values())
    assert all(mask.any() for mask in kept[100].values())
    assert PathCounter(network, digits.task).check(kept[100]).fault is None


def test_signs_and_images_do_not_count_but_running_statistics_do(digits):
    network = build("digits_cnn", digits.task, 0)
    scores = shares(scores_of(network, digits, 1000))
    negated = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in negated.parameters():
            parameter.neg_()
    assert np.array_equal(shares(scores_of(negated, digits, 1000)), scores)
    network.bn2.running_var.mul_(torch.linspace(1, 2, 64))
    assert not np.allclose(shares(scores_of(network, digits, 1000)), scores)


def test_weights_that_are_zero_carry_no_flow(digits):
    # The very weights that training starts from are scored, and no copy that was initialised again.
    network = build("digits_cnn", digits.task, 0)
    zero = np.random.default_rng(0).random((200, 2048)) < 0.5
    with torch.no_grad():
        network.fc1.weight[torch.from_numpy(zero)] = 0.0
    scores = scores_of(network, digits, 1000)["fc1.weight"]
    assert not scores[zero].any() and scores[~zero].all()


def test_a_round_is_one_forward_and_one_backward_pass_of_one_image(digits, monkeypatch):
    passes, grad = Counter(), torch.autograd.grad

    def counted_grad(*arguments, **options):
        passes["backward"] += 1
        return grad(*arguments, **options)

    def counted_forward(_, images) -> None:
        passes["forward"] += 1
        assert torch.equal(images[0], torch.ones(1, 1, 8, 8, dtype=torch.float64))

    monkeypatch.setattr(torch.autograd, "grad", counted_grad)
    network = build("digits_cnn", digits.task, 0)
    network.register_forward_pre_hook(counted_forward)
    scores_of(network, digits, 1000, rounds=7)
    assert passes == {"forward": 7, "backward": 7}


def test_a_deep_network_does_not_overflow():
    # In single precision the flow through 56 layers is beyond 1e38.
    network = build("resnet56", Task(3, 8, 10), 0)
    blank = np.zeros((100, 3, 8, 8), dtype=np.uint8), np.arange(100) % 10
    data = Data.from_arrays("blank", {"train": blank, "test": blank})
    size = sum(weight.numel() for weight in prunable(network).values())
    scores = scores_of(network, data, size // 20, rounds=2)
    assert all(np.isfinite(values).all() and values.any() for values in scores.values())
