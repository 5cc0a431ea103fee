"""Every source keeps the contract; and what each of them scores."""

import math

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data, class_balanced_batch
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.search.sources import SOURCES, Setting, Source, source_called
from fullspectrum.search.testing import SourceContract
from torch import nn


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def setting(network: nn.Module, data: Data, **changes) -> Setting:
    """A tenth of the network's weights is to be kept."""
    size = sum(weight.numel() for weight in prunable(network).values())
    return Setting(network, data, **{"kept": size // 10, "rounds": 4} | changes)


class Registered(SourceContract):
    """The contract of a source of the registry, which is found by its name."""

    name: str

    @pytest.fixture
    def source(self) -> Source:
        return source_called(self.name)

    @pytest.fixture
    def data(self, digits) -> Data:
        return digits


class TestRandom(Registered):
    name, seeded = "random", True

    def test_it_is_drawn_uniformly_at_a_temperature_that_nobody_searches(self, source):
        assert source.default_temperature == math.inf
        assert not source.searches_temperature
        assert not source.data_driven

    def test_scores_know_nothing_of_the_weights(self, source, network, digits):
        scores = source.scores(setting(network, digits), 0)
        with torch.no_grad():
            for weight in network.parameters():
                weight.zero_()
        assert same(source.scores(setting(network, digits), 0), scores)

    def test_scores_are_uniform_and_never_zero(self, source, network, digits):
        scores = source.scores(setting(network, digits), 0)["fc1.weight"].ravel()
        assert scores.min() > 0 and scores.max() <= 1
        # Five standard deviations of the mean of 409,600 uniform numbers.
        assert abs(scores.mean() - 0.5) < 5 * math.sqrt(1 / 12 / scores.size)


class TestMagnitude(Registered):
    name, seeded = "magnitude", False

    def test_scores_are_the_absolute_weights(self, source, network, digits):
        scores = source.scores(setting(network, digits), 0)
        for name, weight in prunable(network).items():
            assert np.array_equal(scores[name], np.abs(weight.detach().numpy().astype(np.float64)))

    def test_it_searches_its_temperature_and_no_batch(self, source):
        assert source.searches_temperature
        assert not source.data_driven
        assert source.default_temperature == 0


class TestSnip(Registered):
    name, seeded = "snip", True

    def test_the_generators_of_gpus_that_the_model_is_not_on_are_left_alone(self, source, network, digits, monkeypatch):
        touched = []
        monkeypatch.setattr(torch.cuda, "manual_seed_all", touched.append)
        monkeypatch.setattr(torch.cuda, "manual_seed", touched.append)
        source.scores(setting(network, digits), 0)
        assert not touched

    def test_it_searches_its_temperature_and_its_batch(self, source):
        assert source.searches_temperature
        assert source.data_driven
        assert source.default_temperature == 0

    def test_scores_of_a_linear_model_are_weight_times_gradient(self, source, digits):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        images, labels = class_balanced_batch(digits, 10, 3)
        assert len(labels) == 100
        # Softmax regression by hand: dL/dW = (p - y)^T x / N.
        weight, bias = (p.detach().numpy().astype(np.float64) for p in (model[1].weight, model[1].bias))
        x = images.flatten(1).numpy().astype(np.float64)
        logits = x @ weight.T + bias
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = (p - np.eye(10)[labels.numpy()]).T @ x / len(x)
        # Single precision sums of a hundred terms.
        scores = source.scores(setting(model, digits), 3)["1.weight"]
        np.testing.assert_allclose(scores, np.abs(weight * gradient), rtol=1e-3, atol=1e-7)

    def test_a_layer_that_the_loss_does_not_reach_scores_zero(self, source, digits):
        class Detour(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused, self.used = nn.Linear(64, 3), nn.Linear(64, 10)

            def forward(self, images):
                return self.used(images.flatten(1))

        scores = source.scores(setting(Detour(), digits), 0)
        assert not scores["unused.weight"].any()
        assert scores["used.weight"].any()


class TestIterativeSnip(Registered):
    name, seeded = "iterative-snip", True


class TestGraSP(Registered):
    name, seeded = "grasp", True


class TestSynFlow(Registered):
    name, seeded = "synflow", False

    def test_it_needs_no_images(self, source):
        assert not source.data_driven


class TestMaskFile(Registered):
    name, seeded = "file:PATH", True

    @pytest.fixture
    def source(self, network, digits, tmp_path) -> Source:
        generator = np.random.default_rng(0)
        shapes = {name: tuple(weight.shape) for name, weight in prunable(network).items()}
        path = MaskSet({n: generator.random(shape) < 0.1 for n, shape in shapes.items()}).save(tmp_path / "mask")
        source = source_called(f"file:{path}")
        source.check(setting(network, digits))
        return source


class TestBiregular(Registered):
    name, seeded = "biregular", True


class TestAscent(Registered):
    name, seeded = "ascent", True


class TestAscentFromAnother(Registered):
    name, seeded = "ascent:SOURCE", True

    @pytest.fixture
    def source(self) -> Source:
        return source_called("ascent:snip")


class TestIMP(Registered):
    name, seeded = "imp", True


class TestIMPByAnotherSaliency(Registered):
    name, seeded = "imp:SOURCE", True

    @pytest.fixture
    def source(self) -> Source:
        return source_called("imp:snip")


class TestGemMiner(Registered):
    name, seeded = "gem-miner", True


class TestEdgePopup(Registered):
    name, seeded = "edge-popup", True


def test_every_source_of_the_registry_keeps_the_contract():
    assert {contract.name for contract in Registered.__subclasses__()} == set(SOURCES.known) - {"module:Class"}
