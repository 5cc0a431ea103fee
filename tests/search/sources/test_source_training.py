"""A source that trains gets what it needs from its setting, and leaves the network as it was."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sources import Setting, Source
from fullspectrum.search.sources.setting import SourceTraining
from fullspectrum.search.store.checkpoint import Checkpoints
from fullspectrum.search.worker.workbench import Workbench
from torch import nn

STEPS = 6


class TrainedMagnitude(Source):
    """The magnitude of the weights after a short training under the mask of the larger half of them."""

    data_driven = True

    def __init__(self, stop_after: int = STEPS):
        self.stop_after = stop_after
        self.begun_at: list[int] = []

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        training = setting.masked_training(larger_half(setting), STEPS, derive(seed, "trained-magnitude"))
        folder = setting.training.checkpoints
        checkpoints = Checkpoints(folder / f"trained-magnitude-{seed}") if folder else None
        if checkpoints and (state := checkpoints.load()):
            training.load_state_dict(state)
        self.begun_at.append(training.iteration)
        while training.iteration < self.stop_after:
            training.run(1)
            if checkpoints:
                checkpoints.save(training.state_dict())
        trained = dict(training.model.named_parameters())
        return {name: trained[name].detach().abs().double().cpu().numpy() for name in setting.weights}


def larger_half(setting: Setting) -> MaskSet:
    magnitudes = {name: weight.detach().abs().cpu().numpy() for name, weight in setting.weights.items()}
    return MaskSet({name: values > np.median(values) for name, values in magnitudes.items()})


@pytest.fixture
def setting(network, digits) -> Setting:
    return Setting(network, digits, 1000, training=SourceTraining(Recipe(batch_size=16)))


@pytest.mark.parametrize("rule", ["rigl", "gradual", "lr-rewinding"])
def test_the_masks_of_a_source_are_its_own_whatever_the_rule_of_the_study(setting, rule):
    recipe = Recipe(batch_size=16, mask=rule, mask_every=1)
    study, masks = dataclasses.replace(setting, training=SourceTraining(recipe)), larger_half(setting)
    training, plain = (each.masked_training(masks, STEPS, 0) for each in (study, setting))
    assert training.run(STEPS) == plain.run(STEPS) and training.masks == masks


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(setting, network, training):
    network.train(training)
    before = copy.deepcopy(network.state_dict())
    TrainedMagnitude().scores(setting, 0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(module.training is training for module in network.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


def test_it_trains_under_the_mask_with_the_recipe_of_the_setting(setting):
    masks, start = larger_half(setting), setting.weights
    scores = TrainedMagnitude().scores(setting, 0)
    assert all((scores[name][~masks[name]] == 0).all() for name in scores)
    assert any((scores[name][masks[name]] != start[name].detach().abs().numpy()[masks[name]]).any() for name in scores)
    other = dataclasses.replace(setting, training=SourceTraining(Recipe(batch_size=16, learning_rate=0.01)))
    assert not same(TrainedMagnitude().scores(other, 0), scores)


def test_scores_are_a_function_of_setting_and_seed(setting):
    scores = TrainedMagnitude().scores(setting, 0)
    assert same(TrainedMagnitude().scores(setting, 0), scores)
    assert not same(TrainedMagnitude().scores(setting, 1), scores)


def test_from_its_checkpoints_it_goes_on_to_the_same_bits(setting, tmp_path):
    means = dataclasses.replace(setting.training, checkpoints=tmp_path)
    resumable = dataclasses.replace(setting, training=means)
    TrainedMagnitude(stop_after=2).scores(resumable, 0)
    again = TrainedMagnitude()
    assert same(again.scores(resumable, 0), TrainedMagnitude().scores(setting, 0))
    assert again.begun_at == [2]


def test_a_study_gives_its_sources_recipe_and_folder(network: nn.Module, digits: Data, tmp_path: Path):
    training = {"batch_size": 32, "learning_rate": {"low": 0.01, "high": 0.3}}
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "training": training})
    given = Workbench(study, network, digits, checkpoints=tmp_path).setting
    assert (given.training.recipe.batch_size, given.training.recipe.learning_rate) == (32, Recipe().learning_rate)
    assert given.training.checkpoints == tmp_path
    assert given.device == next(network.parameters()).device
    assert given.weights.keys() == prunable(network).keys()
