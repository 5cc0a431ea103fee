"""Data-driven sources: closed forms, the batches they see, and what they cannot score."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from fullspectrum.models.batches import class_balanced_batch
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.seeds import derive
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sources import Setting, source_called
from fullspectrum.search.sources import setting as setting_module
from fullspectrum.search.sources.gradients import hessian_gradients, losses, working_copy
from fullspectrum.search.sources.grasp import TEMPERATURE
from fullspectrum.search.worker.workbench import Workbench
from torch import nn
from torch.nn import functional


def flat(scores: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([values.ravel() for values in scores.values()])


def best(scores: dict[str, np.ndarray], kept: int) -> set[int]:
    return set(np.argsort(-flat(scores), kind="stable")[:kept].tolist())


class TestBatches:
    def test_a_batch_has_as_many_images_of_each_class(self, network, digits):
        ((images, labels),) = Setting(network, digits, 1, images_per_class=7).batches(3)
        assert images.shape == (70, 1, 8, 8) and images.dtype == torch.float64
        assert Counter(labels.tolist()) == dict.fromkeys(range(10), 7)

    def test_a_large_batch_comes_in_pieces_of_mixed_classes(self, network, digits):
        pieces = list(Setting(network, digits, 1, images_per_class=60).batches(3))
        assert [len(labels) for _, labels in pieces] == [256, 256, 88]
        assert all(len(labels.unique()) == 10 for _, labels in pieces)
        whole, _ = class_balanced_batch(digits, 60, 3)
        seen = torch.cat([images for images, _ in pieces]).flatten(1)
        assert torch.equal(seen.sum(1).sort().values, whole.double().flatten(1).sum(1).sort().values)

    def test_the_pieces_of_the_loss_add_up_to_its_mean(self, digits):
        # Without batch normalisation, which sees each piece for itself.
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
        given = Setting(model, digits, 1, images_per_class=60)
        images, labels = class_balanced_batch(digits, 60, 3)
        mean = nn.functional.cross_entropy(model(images.double()), labels)
        assert sum(losses(model, given, 3)).item() == pytest.approx(mean.item(), rel=1e-12)


class TestIterativeSnip:
    def test_one_round_keeps_what_snip_keeps(self, network, digits):
        given = Setting(network, digits, 5000, rounds=1)
        once, snip = (source_called(name).scores(given, 3) for name in ("iterative-snip", "snip"))
        assert best(once, 5000) == best(snip, 5000)
        # And its scores are those of SNIP over the threshold.
        threshold = np.sort(flat(snip))[-5000]
        np.testing.assert_allclose(flat(once), flat(snip) / threshold, rtol=1e-12)

    def test_every_round_sees_another_batch_snips_first(self, network, digits, monkeypatch):
        seeds = []

        def noted(data, per_class, seed):
            seeds.append(seed)
            return class_balanced_batch(data, per_class, seed)

        monkeypatch.setattr(setting_module, "class_balanced_batch", noted)
        source_called("iterative-snip").scores(Setting(network, digits, 5000, rounds=3), 3)
        assert seeds == [3, derive(3, "round", 1), derive(3, "round", 2)]

    def test_the_rounds_change_what_is_kept(self, network, digits):
        masks = [
            best(source_called("iterative-snip").scores(Setting(network, digits, 5000, rounds=r), 3), 5000)
            for r in (1, 5)
        ]
        assert masks[0] != masks[1]


class TestGraSP:
    def test_the_batch_is_taken_in_two_halves_class_by_class(self, digits, network):
        given = Setting(network, digits, 1)
        halves = list(given.batches(3, parts=2))
        assert [sorted(set(labels.tolist())) for _, labels in halves] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
        ((images, _),) = given.batches(3)
        assert torch.equal(torch.cat([half for half, _ in halves]), images)

    def test_each_half_has_statistics_of_its_own_in_both_passes(self, digits, network):
        given = Setting(network, digits, 1)
        model, weights = working_copy(given)
        model.train()
        mean = torch.stack([functional.cross_entropy(model(x) / TEMPERATURE, y) for x, y in given.batches(0, 2)]).mean()
        first = torch.autograd.grad(mean, list(weights.values()), create_graph=True)
        inner = sum((one.detach() * one).sum() for one in first)
        products = torch.autograd.grad(inner, list(weights.values()))
        saliency = np.concatenate([(w * p).detach().ravel() for w, p in zip(weights.values(), products, strict=True)])
        scores = flat(source_called("grasp").scores(given, 0))
        # Neighbours in order may change places by rounding; what is kept of any number is the same but for those.
        for kept in (100, 5_000, 50_000):
            ours, theirs = np.argsort(-scores)[:kept], np.argsort(-saliency)[:kept]
            assert len(np.intersect1d(ours, theirs)) >= kept - 2

    def saliency(self, model: nn.Sequential, data: Data, seed: int) -> np.ndarray:
        """w * (Hg) of softmax regression at the temperature T, by hand.

        g = (p - y)^T x / NT and H v = (diag(p) - p p^T) v x x^T / NT^2, summed over the images.
        """
        images, labels = class_balanced_batch(data, 10, seed)
        x = images.flatten(1).double().numpy()
        weight, bias = (p.detach().double().numpy() for p in (model[1].weight, model[1].bias))
        p = np.exp((x @ weight.T + bias) / TEMPERATURE)
        p /= p.sum(1, keepdims=True)
        gradient = (p - np.eye(10)[labels.numpy()]).T @ x / (len(x) * TEMPERATURE)
        moved = x @ gradient.T
        curved = p * (moved - (p * moved).sum(1, keepdims=True))
        return weight * (curved.T @ x / (len(x) * TEMPERATURE**2))

    def test_the_order_is_that_of_softmax_regression_by_hand(self, digits):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        saliency = self.saliency(model, digits, 3).ravel()
        assert saliency.min() < 0 < saliency.max()
        scores = source_called("grasp").scores(Setting(model, digits, 1), 3)["1.weight"].ravel()
        assert np.array_equal(np.argsort(-scores), np.argsort(-saliency))

    def test_scores_fall_with_the_position_alone(self, network, digits):
        scores = flat(source_called("grasp").scores(Setting(network, digits, 1), 0))
        np.testing.assert_allclose(np.sort(1 / scores), np.arange(1, scores.size + 1), rtol=1e-12)

    def test_weights_without_saliency_stand_between_both_signs_ordered_by_index(self, digits):
        class Detour(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused, self.used = nn.Linear(4, 3), nn.Linear(64, 10)

            def forward(self, images):
                return self.used(images.flatten(1))

        model = Detour()
        scores = source_called("grasp").scores(Setting(model, digits, 1), 0)
        positions = np.rint(1 / scores["unused.weight"].ravel())
        positive = int((self.saliency(nn.Sequential(nn.Flatten(), model.used), digits, 0) > 0).sum())
        assert positions.tolist() == list(range(positive + 1, positive + 13))

    def test_the_product_of_hessian_and_gradient_is_the_change_of_the_gradient_along_itself(self, digits):
        # Smooth, so that differences converge; the error of central ones falls with the square of the step.
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10))
        given = Setting(model, digits, 1)
        copy, weights = working_copy(given)
        product = hessian_gradients(weights, lambda: losses(copy, given, 0))

        def gradient() -> list[torch.Tensor]:
            return torch.autograd.grad(sum(losses(copy, given, 0)), list(weights.values()))

        direction, step = gradient(), 1e-4
        ends = []
        for sign in (1, -2):
            with torch.no_grad():
                for weight, along in zip(weights.values(), direction, strict=True):
                    weight += sign * step * along
            ends.append(gradient())
        for name, after, before in zip(weights, *ends, strict=True):
            torch.testing.assert_close(product[name], (after - before) / (2 * step), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["snip", "iterative-snip"])
def test_weights_that_are_zero_have_no_sensitivity(name, network, digits):
    # The very weights that training starts from are scored, and no copy that was initialised again.
    zero = np.random.default_rng(0).random((10, 200)) < 0.5
    with torch.no_grad():
        network.fc2.weight[torch.from_numpy(zero)] = 0.0
    scores = source_called(name).scores(Setting(network, digits, 50_000, rounds=2), 0)["fc2.weight"]
    assert not scores[zero].any()
    assert (scores[~zero] > 0).mean() > 0.5


@pytest.mark.parametrize("name", ["snip", "iterative-snip", "grasp", "synflow"])
@pytest.mark.parametrize(("bias", "value"), [(math.nan, "nan"), (math.inf, "nan|inf")])
def test_what_is_not_finite_is_told_in_one_line_that_names_the_source(name, bias, value, network, digits):
    nn.init.constant_(network.fc2.bias, bias)
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": {"sources": [name]}})
    with pytest.raises(InputError, match=f"^source {name}: the .* is ({value}) at the initial weights, but must be"):
        Workbench(study, network, digits).scores(MaskDistribution(name, 0.0, 0, {}))


def test_a_network_whose_parameters_are_frozen_is_scored(network, digits):
    expected = source_called("snip").scores(Setting(network, digits, 1), 0)
    scores = source_called("snip").scores(Setting(network.requires_grad_(False), digits, 1), 0)
    assert all(np.array_equal(scores[name], expected[name]) for name in prunable(network))
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_class_with_too_few_images_is_told_with_the_source(network, digits):
    search = {"sources": ["snip"], "images_per_class": 1000}
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": search})
    with pytest.raises(InputError, match="^source snip: digits: a batch of 1000 images per class was asked for"):
        Workbench(study, network, digits).scores(MaskDistribution("snip", 0.0, 0, {}))
