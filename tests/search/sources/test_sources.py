"""The contract of a mask source, and what each source scores."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data, Split, class_balanced_batch
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.search.sources import KNOWN, Setting, Source
from fullspectrum.search.sources import source as source_called
from torch import nn


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def setting(network: nn.Module, data: Data, **changes) -> Setting:
    """A tenth of the network's weights is to be kept."""
    size = sum(weight.numel() for weight in prunable(network).values())
    return Setting(network, data, **{"kept": size // 10, "rounds": 4} | changes)


class SourceContract:
    """What every source keeps; a test class of a source names it and inherits this."""

    name: str
    #: Whether another seed gives other scores.
    seeded: bool

    @pytest.fixture
    def source(self) -> Source:
        return source_called(self.name)

    def test_scores_have_the_parameters_shapes_in_their_order(self, source, network, digits):
        scores = source.scores(setting(network, digits), 0)
        assert [(n, s.shape) for n, s in scores.items()] == [(n, tuple(w.shape)) for n, w in prunable(network).items()]

    def test_scores_are_finite_doubles_of_at_least_zero(self, source, network, digits):
        for scores in source.scores(setting(network, digits), 0).values():
            assert isinstance(scores, np.ndarray) and scores.dtype == np.float64
            assert np.isfinite(scores).all() and (scores >= 0).all() and (scores > 0).any()

    @pytest.mark.parametrize("training", [True, False])
    def test_the_model_is_left_as_it_was(self, source, network, digits, training):
        network.train(training)
        before = copy.deepcopy(network.state_dict())
        scores = source.scores(setting(network, digits), 0)
        for values in scores.values():
            values.fill(7.0)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert all(module.training is training for module in network.modules())
        assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())

    def test_scores_do_not_depend_on_the_mode_of_the_model(self, source, network, digits):
        assert same(
            source.scores(setting(network.train(), digits), 0), source.scores(setting(network.eval(), digits), 0)
        )

    def test_scores_are_a_function_of_weights_and_seed(self, source, network, digits):
        scores = source.scores(setting(network, digits), 5)
        np.random.default_rng(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            assert same(source.scores(setting(copy.deepcopy(network), digits), 5), scores)

    def test_the_global_generators_are_not_moved(self, source, network, digits):
        torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
        source.scores(setting(network, digits), 5)
        assert torch.equal(torch.random.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)

    def test_the_seed_counts_where_something_is_drawn(self, source, network, digits):
        assert (
            same(source.scores(setting(network, digits), 1), source.scores(setting(network, digits), 2))
            is not self.seeded
        )

    def test_a_data_driven_source_is_a_seeded_one(self, source):
        assert self.seeded or not source.data_driven

    def test_dropout_is_seeded(self, source, network, digits):
        network.fc1.register_forward_pre_hook(lambda layer, x: nn.functional.dropout(x[0], 0.5, layer.training))
        assert same(source.scores(setting(network, digits), 0), source.scores(setting(network, digits), 0))

    def test_only_the_training_split_is_seen(self, source, network, digits):
        blank = {name: Split(torch.zeros_like(s.images), s.labels) for name, s in digits.splits.items()}
        other = dataclasses.replace(digits, splits=blank | {"train": digits.splits["train"]})
        assert same(source.scores(setting(network, other), 0), source.scores(setting(network, digits), 0))

    def test_parameters_that_are_kept_whole_have_no_scores(self, source, network, digits):
        scores = source.scores(setting(network, digits, dense=frozenset({"conv1.weight", "fc2.weight"})), 0)
        assert list(scores) == ["conv2.weight", "conv3.weight", "fc1.weight"]

    def test_it_scores_the_same_in_another_process(self, source, network, digits):
        there = pickle.loads(pickle.dumps(source))
        assert same(there.scores(setting(network, digits), 0), source.scores(setting(network, digits), 0))
        assert there.origin() == source.origin()

    def test_the_default_temperature_is_one_that_can_be_drawn_at(self, source):
        assert source.default_temperature >= 0


class TestRandom(SourceContract):
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


class TestMagnitude(SourceContract):
    name, seeded = "magnitude", False

    def test_scores_are_the_absolute_weights(self, source, network, digits):
        scores = source.scores(setting(network, digits), 0)
        for name, weight in prunable(network).items():
            assert np.array_equal(scores[name], np.abs(weight.detach().numpy().astype(np.float64)))

    def test_it_searches_its_temperature_and_no_batch(self, source):
        assert source.searches_temperature
        assert not source.data_driven
        assert source.default_temperature == 0


class TestSnip(SourceContract):
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


class TestIterativeSnip(SourceContract):
    name, seeded = "iterative-snip", True


class TestGraSP(SourceContract):
    name, seeded = "grasp", True


class TestSynFlow(SourceContract):
    name, seeded = "synflow", False

    def test_it_needs_no_images(self, source):
        assert not source.data_driven


class TestMaskFile(SourceContract):
    name, seeded = "file:PATH", True

    @pytest.fixture
    def source(self, network, digits, tmp_path) -> Source:
        generator = np.random.default_rng(0)
        shapes = {name: tuple(weight.shape) for name, weight in prunable(network).items()}
        path = MaskSet({n: generator.random(shape) < 0.1 for n, shape in shapes.items()}).save(tmp_path / "mask")
        source = source_called(f"file:{path}")
        source.check(setting(network, digits))
        return source


class TestBiregular(SourceContract):
    name, seeded = "biregular", True


class TestAscent(SourceContract):
    name, seeded = "ascent", True


class TestAscentFromAnother(SourceContract):
    name, seeded = "ascent:SOURCE", True

    @pytest.fixture
    def source(self) -> Source:
        return source_called("ascent:snip")


def test_every_source_of_the_registry_keeps_the_contract():
    assert {contract.name for contract in SourceContract.__subclasses__()} == set(KNOWN)
