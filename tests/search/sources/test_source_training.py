"""Sources that train: iterative magnitude pruning against a plain loop, and what they promise of crashes."""

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.resumable.training import LeaveRequested
from fullspectrum.search.sources import Setting, source_called
from fullspectrum.search.sources.setting import SourceTraining

KEPT, ROUNDS, STEPS = 5000, 3, 6

#: Every source that trains.
TRAINING = ("imp", "gem-miner", "edge-popup")


@pytest.fixture
def setting(network, digits) -> Setting:
    means = SourceTraining(Recipe(batch_size=16))
    return Setting(network, digits, KEPT, rounds=ROUNDS, round_iterations=STEPS, training=means)


@pytest.mark.parametrize("rule", ["rigl", "gradual", "lr-rewinding"])
def test_the_masks_of_a_source_are_its_own_whatever_the_rule_of_the_study(setting, rule):
    recipe = Recipe(batch_size=16, mask=rule, mask_every=1)
    study = dataclasses.replace(setting, training=SourceTraining(recipe))
    masks = MaskSet({name: (weight > 0).numpy() for name, weight in setting.weights.items()})
    training, plain = (each.masked_training(copy.deepcopy(each.model), masks, 0) for each in (study, setting))
    assert training.run(STEPS) == plain.run(STEPS) and training.masks == masks


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def top(scores: dict[str, np.ndarray], kept: int) -> np.ndarray:
    flat = np.concatenate([values.ravel() for values in scores.values()])
    mask = np.zeros(flat.size, dtype=bool)
    mask[np.argsort(-flat, kind="stable")[:kept]] = True
    return mask


def test_imp_keeps_the_mask_of_the_lottery_ticket_hypothesis(setting, network, digits):
    """Algorithm 2 of Frankle et al. (ICML 2020), written as a loop over one flat mask."""
    names = list(prunable(network))
    size = sum(weight.numel() for weight in prunable(network).values())
    left = np.ones(size, dtype=bool)
    for number in range(ROUNDS):
        model = copy.deepcopy(network)
        shapes = {name: tuple(weight.shape) for name, weight in prunable(model).items()}
        ends = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]
        parts = zip(shapes.items(), np.split(left, ends), strict=True)
        masks = MaskSet({name: part.reshape(shape) for (name, shape), part in parts})
        seed = derive(7, "round", number)
        training = MaskedTraining(model, masks, digits, Recipe(batch_size=16), STEPS, seed)
        training.run(STEPS)
        weights = np.concatenate([prunable(model)[name].detach().numpy().ravel() for name in names])
        count = KEPT if number == ROUNDS - 1 else round(size * (KEPT / size) ** ((number + 1) / ROUNDS))
        magnitude = np.where(left, np.abs(weights).astype(np.float64), -1.0)
        left = np.zeros(size, dtype=bool)
        left[np.argsort(-magnitude, kind="stable")[:count]] = True
    assert (top(source_called("imp").scores(setting, 7), KEPT) == left).all()


def test_a_weight_scores_higher_the_later_it_is_removed(setting, network):
    scores = source_called("imp").scores(setting, 0)
    size = sum(values.size for values in scores.values())
    flat = np.sort(np.concatenate([values.ravel() for values in scores.values()]))[::-1]
    counts = [round(size * (KEPT / size) ** (n / ROUNDS)) for n in (1, 2)]
    assert flat[KEPT - 1] >= 1 > flat[KEPT]
    # After round n the highest score of what it removed is the fraction that is left in the end of what it kept.
    assert flat[counts[1]] < KEPT / counts[1] and flat[counts[0]] < KEPT / counts[0]


def test_magnitude_is_the_saliency_that_nobody_names(setting):
    assert same(source_called("imp:magnitude").scores(setting, 0), source_called("imp").scores(setting, 0))


@pytest.mark.parametrize("name", ["imp:snip", "imp:synflow", "imp:grasp"])
def test_another_saliency_scores_the_trained_weights(setting, name):
    scores = source_called(name).scores(setting, 0)
    assert not same(scores, source_called("imp").scores(setting, 0))
    assert top(scores, KEPT).sum() == KEPT


@pytest.mark.parametrize("name", ["imp:random", "imp:imp", "imp:", "imp:file:x", "imp:ascent"])
def test_what_is_no_saliency_of_trained_weights_is_refused(name):
    with pytest.raises(InputError, match="known: imp, imp:magnitude"):
        source_called(name)


@pytest.mark.parametrize("name", TRAINING)
def test_the_network_is_left_as_it_was(setting, network, name):
    before = copy.deepcopy(network.state_dict())
    source_called(name).scores(setting, 0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("name", TRAINING)
def test_its_cost_is_that_of_all_rounds(setting, name):
    assert source_called(name).cost(setting) == ROUNDS * STEPS
    assert source_called(f"ascent:{name}").cost(setting) == ROUNDS * STEPS


def test_a_source_that_does_not_train_costs_nothing(setting):
    assert source_called("snip").cost(setting) == 0


def test_a_round_that_would_remove_nothing_is_refused(setting):
    source = source_called("imp")
    with pytest.raises(InputError, match=r"rounds = 900000: round \d+ would remove none of .* take fewer rounds"):
        source.check(dataclasses.replace(setting, rounds=900_000))
    with pytest.raises(InputError, match="round 1 would remove none"):
        source.check(dataclasses.replace(setting, kept=setting.size))
    source.check(setting)


class Crash(Exception):
    """The end of a process, as far as its files go."""


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("steps", [3, STEPS, STEPS + 1, 2 * STEPS + 5])
def test_after_a_crash_at_any_step_it_goes_on_to_the_same_bits(setting, tmp_path, monkeypatch, name, steps):
    whole = source_called(name).scores(setting, 0)
    monkeypatch.setattr("fullspectrum.search.resumable.training.CHUNK", 1)
    means = dataclasses.replace(setting.training, checkpoints=tmp_path, every=0.0)
    resumable = dataclasses.replace(setting, training=means)
    done, step = [], MaskedTraining._step

    def counted(training):
        if len(done) == steps:
            raise Crash
        done.append(training)
        return step(training)

    monkeypatch.setattr(MaskedTraining, "_step", counted)
    with pytest.raises(Crash):
        source_called(name).scores(resumable, 0)
    monkeypatch.setattr(MaskedTraining, "_step", lambda training: done.append(training) or step(training))
    assert same(source_called(name).scores(resumable, 0), whole)
    assert len(done) == ROUNDS * STEPS, "no step is done twice"


@pytest.mark.parametrize("name", TRAINING)
def test_it_leaves_when_it_is_asked_to_and_goes_on_from_there(setting, tmp_path: Path, name):
    leave = tmp_path / "leave"
    means = SourceTraining(setting.training.recipe, tmp_path / "checkpoints", 60.0, leave)
    resumable = dataclasses.replace(setting, training=means)
    leave.touch()
    with pytest.raises(LeaveRequested):
        source_called(name).scores(resumable, 0)
    leave.unlink()
    assert same(source_called(name).scores(resumable, 0), source_called(name).scores(setting, 0))


def test_checkpoints_of_other_rounds_are_passed_over(setting, tmp_path, capsys):
    means = dataclasses.replace(setting.training, checkpoints=tmp_path)
    source_called("imp").scores(dataclasses.replace(setting, rounds=2, training=means), 0)
    assert same(
        source_called("imp").scores(dataclasses.replace(setting, training=means), 0),
        source_called("imp").scores(setting, 0),
    )
    assert "a checkpoint is passed over: these are rounds that leave" in capsys.readouterr().err
