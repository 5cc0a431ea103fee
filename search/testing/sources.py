"""What every mask source promises."""

import copy
import dataclasses
import math
import pickle
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn

from ...models.data import Data, Split, load
from ...models.layers import prunable
from ...models.networks import build
from ..sources.setting import Setting
from ..sources.source import Source

#: A seed, and another one.
SEED, ANOTHER = 5, 6


class SourceContract:
    """The suite of a `Source`: inherit it in a class called `Test…` and override the fixture `source`.

        class TestMine(SourceContract):
            @pytest.fixture
            def source(self):
                return Mine()

    Set `seeded` where another seed gives other scores; a data-driven source is a seeded one. Override `network` and
    `data` where the source asks for another network or other data.
    """

    #: Whether another seed gives other scores.
    seeded: bool = False

    @pytest.fixture
    def source(self) -> Source:
        """Return the source under test."""
        raise NotImplementedError

    @pytest.fixture
    def data(self) -> Data:
        """Return the data that a source may see."""
        return load("digits")

    @pytest.fixture
    def network(self, data: Data) -> nn.Module:
        """Return the network that is scored, the test's own."""
        return build("digits_cnn", data.task, 0)

    @pytest.fixture
    def setting(self, network: nn.Module, data: Data) -> Setting:
        """Return the setting that is scored: a tenth of the network's weights is to be kept."""
        size = sum(weight.numel() for weight in prunable(network).values())
        return Setting(network, data, kept=size // 10, rounds=4, round_iterations=2)

    def test_scores_have_the_parameters_shapes_in_their_order(self, source: Source, setting: Setting) -> None:
        shapes = [(name, tuple(weight.shape)) for name, weight in prunable(setting.model).items()]
        assert [(name, scores.shape) for name, scores in source.scores(setting, SEED).items()] == shapes

    def test_scores_are_finite_doubles_of_at_least_zero(self, source: Source, setting: Setting) -> None:
        for scores in source.scores(setting, SEED).values():
            assert isinstance(scores, np.ndarray) and scores.dtype == np.float64
            assert np.isfinite(scores).all() and (scores >= 0).all() and (scores > 0).any()

    @pytest.mark.parametrize("training", [True, False])
    def test_the_model_is_left_as_it_was(self, source: Source, setting: Setting, training: bool) -> None:
        model = setting.model.train(training)
        before = copy.deepcopy(model.state_dict())
        for values in source.scores(setting, SEED).values():
            # Nor may the scores share memory with the weights.
            values.fill(7.0)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(module.training is training for module in model.modules())
        assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())

    def test_scores_do_not_depend_on_the_mode_of_the_model(self, source: Source, setting: Setting) -> None:
        setting.model.train()
        scores = source.scores(setting, SEED)
        setting.model.eval()
        assert _same(source.scores(setting, SEED), scores)

    def test_scores_are_a_function_of_setting_and_seed(self, source: Source, setting: Setting) -> None:
        scores = source.scores(setting, SEED)
        again = dataclasses.replace(setting, model=copy.deepcopy(setting.model))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(99)
            assert _same(source.scores(again, SEED), scores)

    def test_the_global_generators_are_not_moved(self, source: Source, setting: Setting) -> None:
        torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
        source.scores(setting, SEED)
        assert torch.equal(torch.random.get_rng_state(), torch_state)
        assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]

    def test_the_seed_counts_where_something_is_drawn(self, source: Source, setting: Setting) -> None:
        assert _same(source.scores(setting, SEED), source.scores(setting, ANOTHER)) is not self.seeded

    def test_a_data_driven_source_is_a_seeded_one(self, source: Source) -> None:
        assert self.seeded or not source.data_driven

    def test_dropout_is_seeded(self, source: Source, setting: Setting) -> None:
        _, last = [module for module in setting.model.modules() if isinstance(module, nn.Linear)][-2:]
        last.register_forward_pre_hook(lambda layer, x: nn.functional.dropout(x[0], 0.5, layer.training))
        assert _same(source.scores(setting, SEED), source.scores(setting, SEED))

    def test_only_the_training_split_is_seen(self, source: Source, setting: Setting) -> None:
        data, task = setting.data, setting.data.task
        shape = (task.channels, task.size, task.size)
        blank = {
            name: Split(torch.zeros(len(split), *shape, dtype=torch.uint8), split.labels)
            for name, split in data.splits.items()
        }
        other = dataclasses.replace(data, splits=blank | {"train": data.splits["train"]})
        scores = source.scores(setting, SEED)
        assert _same(source.scores(dataclasses.replace(setting, data=other), SEED), scores)

    def test_parameters_that_are_kept_whole_have_no_scores(self, source: Source, setting: Setting) -> None:
        first, *others, last = prunable(setting.model)
        scores = source.scores(dataclasses.replace(setting, dense=frozenset({first, last})), SEED)
        assert list(scores) == others

    def test_it_scores_the_same_in_another_process(self, source: Source, setting: Setting) -> None:
        there = pickle.loads(pickle.dumps(source))
        assert _same(there.scores(setting, SEED), source.scores(setting, SEED))
        assert there.origin() == source.origin()

    @pytest.mark.parametrize("temperature", [0.0, 0.5, math.inf])
    def test_a_draw_keeps_exactly_what_it_is_to_keep(
        self, source: Source, setting: Setting, temperature: float
    ) -> None:
        # Of the smallest layers: a draw of a large one may take long.
        for name, scores in sorted(source.scores(setting, SEED).items(), key=lambda item: item[1].size)[:2]:
            for count in (1, scores.size // 3, scores.size):
                mask = source.draw(setting, name, scores, count, temperature, SEED)
                assert mask.dtype == bool and mask.shape == scores.shape
                assert np.count_nonzero(mask) == count

    def test_a_draw_is_a_function_of_its_arguments(self, source: Source, setting: Setting) -> None:
        name, scores = min(source.scores(setting, SEED).items(), key=lambda item: item[1].size)
        before = scores.copy()
        mask = source.draw(setting, name, scores, scores.size // 2, 1.0, SEED)
        assert np.array_equal(source.draw(setting, name, before, scores.size // 2, 1.0, SEED), mask)
        assert np.array_equal(scores, before)

    def test_the_default_temperature_is_one_that_can_be_drawn_at(self, source: Source) -> None:
        assert source.default_temperature >= 0


def _same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
