"""The [training] table: every setting of a recipe under its own name, fixed or searched."""

import io
import itertools
import shlex
from dataclasses import fields, replace

import optuna
import pytest
from fullspectrum.models.recipe import OPTIMIZERS, SCHEDULES, Recipe
from fullspectrum.search.commands.search import _report
from fullspectrum.search.config.searchable import Choices, Range
from fullspectrum.search.config.study import ConfigError, Study, Training
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.space import suggest_training
from rich.console import Console

#: A fixed value of each setting that is not its default.
VALUES = {
    "optimizer": "adamw",
    "learning_rate": 0.05,
    "momentum": 0.8,
    "nesterov": True,
    "weight_decay": 1e-4,
    "label_smoothing": 0.1,
    "batch_size": 64,
    "schedule": "step",
    "milestones": [0.3, 0.6, 0.9],
    "step_factor": 0.2,
    "ramp_up": 0.05,
    "gradient_clip": 1.0,
    "ema": 0.999,
    "compile": True,
    "mask": "rigl",
    "mask_every": 50,
    "mask_fraction": 0.2,
    "mask_until": 0.5,
}
FIXED_ONLY = {"milestones", "compile"}


def study(*overrides: str) -> Study:
    return parse(with_overrides({"model": "digits_cnn", "data": "digits", "sparsity": 0.9}, overrides))


def mistake(override: str) -> str:
    with pytest.raises(ConfigError) as caught:
        study(override)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_settings_are_those_of_a_recipe_with_its_defaults_and_no_other():
    assert list(Training.model_fields) == [field.name for field in fields(Recipe)] == list(VALUES)
    assert study().training.recipe() == Recipe()


@pytest.mark.parametrize("name", VALUES)
def test_every_setting_reaches_the_recipe_and_makes_another_study(name):
    changed = study(f"training={{ {name} = {_toml(VALUES[name])} }}")
    assert changed.training.recipe() == Recipe(**{name: VALUES[name]}) != Recipe()
    assert changed.id != study().id
    assert parse(changed.settings()) == changed


@pytest.mark.parametrize("name", [name for name in VALUES if name not in FIXED_ONLY])
def test_every_hyperparameter_can_be_searched(name):
    choices = [getattr(Recipe(), name), VALUES[name]]
    searched = study(f"training.{name}={{ choices = {_toml(choices)} }}")
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    proposed = suggest_training(trial, searched.training)
    assert trial.distributions == {name: optuna.distributions.CategoricalDistribution(choices)}
    assert type(proposed[name]) is type(VALUES[name])
    assert getattr(searched.training.recipe(proposed), name) in choices


@pytest.mark.parametrize("name", ["step_factor", "ramp_up", "gradient_clip", "ema"])
def test_real_numbers_are_searched_over_ranges(name):
    assert study(f"training.{name}={{ low = 0.1, high = 0.9 }}").training.searched() == {name: Range(low=0.1, high=0.9)}


def test_choices_keep_their_types():
    assert [type(value) for value in Choices(choices=[True, 1, 0.5, "sgd"]).choices] == [bool, int, float, str]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.schedule=onecycle", ["training.schedule = 'onecycle'", 'did you mean "one-cycle"?']),
        ("training.milestones=[0.5, 1.0]", ["training.milestones = 1.0", "less than 1", "fractions of all iterations"]),
        ("training.milestones=0.5", ["training.milestones = 0.5", "list"]),
        ("training.step_factor=0", ["training.step_factor = 0", "greater than 0"]),
        ("training.ramp_up=1", ["training.ramp_up = 1", "less than 1", "[0, 1)"]),
        ("training.warmup=0.1", ["'training.warmup'", "ramp_up"]),
        ("training.gradient_clip=-1", ["training.gradient_clip = -1", "greater than or equal to 0", "0 for none"]),
        ("training.ema=1.0", ["training.ema = 1.0", "less than 1"]),
        ("training.ema={low=0.9, high=1.0}", ["ema = 1.0", "less than 1"]),
        ("training.nesterov=1", ["training.nesterov = 1", "boolean"]),
        ("training.nesterov={low=0, high=1}", ["nesterov", "{ choices = [...] }", "not by a range"]),
        ("training.compile={choices=[true, false]}", ["training.compile", "boolean"]),
    ],
)
def test_a_mistake_is_told_in_one_line(override, parts):
    message = mistake(override)
    for part in parts:
        assert part in message


def test_what_the_configuration_knows_a_recipe_knows():
    for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        for value in known:
            assert getattr(study(f"training.{name}={value}").training.recipe(), name) == value


@pytest.mark.timeout(300)
def test_the_suggested_command_gives_every_setting_back(finished):
    training = {name: value for name, value in VALUES.items() if name != "learning_rate"}
    table = Training(**training, learning_rate=Range(low=0.01, high=0.1))
    changed = replace(finished, study=finished.study.model_copy(update={"training": table}))
    console = Console(file=io.StringIO(), width=200)
    _report(changed, console, finished.folder.path.parent, "")
    (line,) = (line for line in console.file.getvalue().splitlines() if "fullspectrum train" in line)
    words = shlex.split(line)
    given = study(*(setting for flag, setting in itertools.pairwise(words) if flag == "--set"))
    proposed = finished.trials_by_label[finished.rows[0].label].training
    assert given.training.recipe() == table.recipe(proposed)


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


@pytest.mark.parametrize(("batch_size", "least"), [(64, 64), ({"choices": [128, 1, 32]}, 1)])
def test_the_smallest_batch_that_may_be_trained_is_known(batch_size, least):
    assert Training(batch_size=batch_size).least_batch_size == least
