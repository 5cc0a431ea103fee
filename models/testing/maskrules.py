"""What every mask rule promises."""

import io
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from ..data import Data
from ..maskrules.rule import MaskRule
from ..masks import MaskSet
from ..recipe import Recipe
from ..training import MaskedTraining
from ..trainingstate import TrainingState

#: Iterations of each training.
TOTAL = 12


class MaskRuleContract:
    """The suite of a `MaskRule`: inherit it in a class called `Test…` and override the fixture `rule`.

    The rule must be due at several of the first `TOTAL` iterations of a training that is as long.
    """

    @pytest.fixture
    def rule(self) -> MaskRule:
        """Return the rule under test."""
        raise NotImplementedError

    @pytest.fixture(params=["sgd", "adamw"])
    def recipe(self, request: pytest.FixtureRequest) -> Recipe:
        """Return how the network is trained: with everything that a changing mask could harm."""
        return Recipe(request.param, learning_rate=0.01, batch_size=8, weight_decay=0.1, gradient_clip=0.5, ema=0.9)

    def test_it_is_due_more_than_once(self, rule: MaskRule) -> None:
        assert len(_updates(rule)) > 1

    def test_every_layer_keeps_its_exact_count_at_every_update(self, rule: MaskRule, recipe: Recipe) -> None:
        run = _training(rule, recipe)
        given = _masks()
        for iteration in range(1, TOTAL + 1):
            run.run(1)
            if iteration in _updates(rule):
                assert run.masks is not None
                expected = {name: rule.count(int(m.sum()), m.size, iteration, TOTAL) for name, m in given.items()}
                assert {name: int(mask.sum()) for name, mask in run.masks.items()} == expected

    def test_the_learning_rate_goes_on_step_by_step_or_begins_anew(self, rule: MaskRule) -> None:
        before = -1
        for iteration in range(TOTAL):
            position, length = rule.learning_rate_span(iteration, TOTAL)
            assert position in (0, before + 1) and position < length <= TOTAL
            before = position

    def test_the_mask_changes_only_when_an_update_is_due(self, rule: MaskRule, recipe: Recipe) -> None:
        run = _training(rule, recipe)
        changed, before = [], run.masks
        for iteration in range(1, TOTAL + 1):
            run.run(1)
            if run.masks != before:
                changed.append(iteration)
            before = run.masks
        assert changed and set(changed) <= set(_updates(rule))

    def test_removed_weights_and_their_averages_are_exactly_zero_after_every_step(
        self, rule: MaskRule, recipe: Recipe
    ) -> None:
        run = _training(rule, recipe)
        for _ in range(TOTAL):
            run.run(1)
            assert run.masks is not None
            for name, mask in run.masks.items():
                removed = torch.tensor(~mask)
                assert torch.count_nonzero(run.model.state_dict()[name][removed]) == 0
                assert torch.count_nonzero(run.measured_state()[name][removed]) == 0

    def test_it_goes_on_to_the_same_bits_wherever_it_is_cut(self, rule: MaskRule, recipe: Recipe) -> None:
        whole = _training(rule, recipe)
        for _ in range(TOTAL):
            resumed = _training(rule, recipe)
            resumed.load_state_dict(_saved(whole))
            # One step is enough: the next one starts where this one ends.
            for run in (whole, resumed):
                run.run(1)
            assert _bits(_saved(resumed)) == _bits(_saved(whole))

    def test_it_leaves_the_global_generator_untouched(self, rule: MaskRule, recipe: Recipe) -> None:
        before = torch.get_rng_state()
        _training(rule, recipe).run(TOTAL)
        assert torch.equal(torch.get_rng_state(), before)


def _updates(rule: MaskRule) -> list[int]:
    return [iteration for iteration in range(1, TOTAL + 1) if rule.due(iteration, TOTAL)]


def _masks() -> MaskSet:
    generator = np.random.default_rng(1)
    shapes = {"1.weight": (16, 64), "4.weight": (12, 16), "6.weight": (10, 12)}
    return MaskSet({name: generator.random(shape) < 0.3 for name, shape in shapes.items()})


def _training(rule: MaskRule, recipe: Recipe) -> MaskedTraining:
    images = np.random.default_rng(0).integers(0, 256, (44, 1, 8, 8), dtype=np.uint8)
    part = images, np.arange(44) % 10
    data = Data.from_arrays("noise", {"train": part, "val": part, "test": part})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = [nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.Linear(16, 12), nn.ReLU()]
        model = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(12, 10))
    return MaskedTraining(model, _masks(), data, recipe, TOTAL, 0, rule=rule)


def _saved(run: MaskedTraining) -> TrainingState:
    """Return the state of a training as a file gives it back."""
    file = io.BytesIO()
    torch.save(run.state_dict(), file)
    file.seek(0)
    return cast(TrainingState, torch.load(file, weights_only=True))


def _bits(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.numpy().tobytes()
    return {key: _bits(item) for key, item in value.items()} if isinstance(value, dict) else value
