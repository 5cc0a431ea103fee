"""What Optuna steers, and the distribution that comes of it."""

import json
import math

import optuna
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.groups import Groups
from fullspectrum.search.guidance.guided import GuidedStudy
from fullspectrum.search.guidance.space import suggest_mask, suggest_training
from fullspectrum.search.sampling.distribution import MaskDistribution, groups, layer_theta
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

NAMES = ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "layer2.0.conv1.weight", "fc.weight"]


def study(*overrides: str) -> Study:
    return parse(with_overrides({"model": "resnet20", "data": "cifar10", "sparsity": 0.9}, overrides))


def asked(settings: Study, trials: int = 1, seed: int = 0) -> list[tuple[optuna.trial.Trial, MaskDistribution]]:
    optimizer = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [(trial, suggest_mask(trial, settings, NAMES)) for trial in (optimizer.ask() for _ in range(trials))]


def test_each_layer_is_a_group_of_its_own():
    grouped = groups(NAMES, "layer")
    assert list(grouped) == ["conv1", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1", "fc"]
    assert list(grouped.values()) == [[name] for name in NAMES]


def test_a_stage_is_the_first_part_of_the_name():
    assert groups(NAMES, "stage") == {
        "conv1": ["conv1.weight"],
        "layer1": ["layer1.0.conv1.weight", "layer1.0.conv2.weight"],
        "layer2": ["layer2.0.conv1.weight"],
        "fc": ["fc.weight"],
    }


def test_without_theta_there_are_no_groups():
    assert groups(NAMES, "none") == {}


@pytest.mark.parametrize("theta", ["layer", "stage"])
def test_every_layer_is_in_exactly_one_group(theta):
    members = [name for group in groups(NAMES, theta).values() for name in group]
    assert sorted(members) == sorted(NAMES)


def test_thetas_of_groups_become_those_of_their_layers():
    thetas = layer_theta(NAMES, "stage", {"layer1": 0.3, "fc": -0.2})
    assert thetas == dict(zip(NAMES, [0.0, 0.3, 0.3, 0.0, -0.2], strict=True))
    assert layer_theta(NAMES, "none", {"layer1": 0.3}) == {}


THETAS = {"theta/conv1", "theta/layer1", "theta/layer2", "theta/fc"}


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        ("random", {"source"}),
        ("magnitude", {"source", "temperature"}),
        ("snip", {"source", "temperature", "batch_seed"}),
    ],
)
def test_only_what_a_source_has_is_searched(source, parameters):
    trial, _ = asked(study(f"search.sources=['{source}']", "search.theta=stage"))[0]
    assert set(trial.params) == parameters | THETAS


def test_random_is_drawn_uniformly():
    _, distribution = asked(study("search.sources=['random']"))[0]
    assert distribution.temperature == math.inf
    assert distribution.batch_seed == 0


def test_a_fixed_temperature_and_a_single_batch_are_not_searched():
    settings = study("search.sources=['snip']", "search.temperature=0.7", "search.batches=1", "search.theta=none")
    trial, distribution = asked(settings)[0]
    assert set(trial.params) == {"source"}
    assert distribution == MaskDistribution("snip", 0.7, 0, {})


def test_the_distribution_is_what_was_suggested():
    suggested = {"source": "snip", "temperature": 0.5, "batch_seed": 3}
    suggested |= {"theta/conv1": 0.1, "theta/layer1": 0.2, "theta/layer2": -0.3, "theta/fc": -0.5}
    distribution = suggest_mask(FixedTrial(suggested), study("search.theta=stage"), NAMES)
    assert distribution == MaskDistribution("snip", 0.5, 3, {"conv1": 0.1, "layer1": 0.2, "layer2": -0.3, "fc": -0.5})


def test_what_is_suggested_lies_in_the_ranges_of_the_study():
    settings = study("search.theta_range=0.25", "search.batches=3", "search.temperature={low=0.2, high=0.4}")
    drawn = [distribution for _, distribution in asked(settings, 200)]
    assert {distribution.source for distribution in drawn} == {"random", "magnitude", "snip"}
    assert {d.batch_seed for d in drawn if d.source == "snip"} == {0, 1, 2}
    assert all(0.2 <= d.temperature <= 0.4 for d in drawn if d.source != "random")
    thetas = [theta for distribution in drawn for theta in distribution.theta.values()]
    assert len(thetas) == 200 * len(NAMES)
    # Of a thousand uniform draws, some lie in the outer fifth on either side.
    assert -0.25 <= min(thetas) < -0.2 and 0.2 < max(thetas) <= 0.25


def test_theta_is_suggested_within_the_range_at_either_end():
    settings = study("search.theta=stage", "search.theta_range=0.5", "search.sources=['random']")
    trial, _ = asked(settings)[0]
    for name in THETAS:
        assert trial.distributions[name] == optuna.distributions.FloatDistribution(-0.5, 0.5)


def test_searched_training_settings_are_suggested_by_name():
    settings = study(
        "training.learning_rate={low=0.01, high=0.3, log=true}",
        "training.momentum={low=0.5, high=0.9}",
        "training.batch_size={choices=[32, 64]}",
    )
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    proposed = suggest_training(trial, settings.training)
    assert proposed == trial.params
    assert trial.distributions == {
        "learning_rate": optuna.distributions.FloatDistribution(0.01, 0.3, log=True),
        "momentum": optuna.distributions.FloatDistribution(0.5, 0.9),
        "batch_size": optuna.distributions.CategoricalDistribution([32, 64]),
    }
    settings.training.recipe(proposed)


def test_fixed_training_settings_are_not_suggested():
    assert suggest_training(FixedTrial({}), study().training) == {}


@given(
    st.sampled_from(["random", "snip"]),
    st.one_of(st.just(math.inf), st.floats(0, 1e6)),
    st.integers(0, 999),
    st.dictionaries(st.text(max_size=5), st.floats(-5, 5), max_size=4),
)
def test_a_distribution_survives_json(source, temperature, batch_seed, theta):
    distribution = MaskDistribution(source, temperature, batch_seed, theta)
    text = json.dumps(distribution.to_dict(), allow_nan=False)
    assert MaskDistribution.from_dict(json.loads(text)) == distribution


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "qmc", "random"])
def test_every_sampler_proposes_distributions_of_the_studys_space(sampler):
    settings = study(f"search.sampler={sampler}", "search.allocation={choices=['erk', 'uniform']}")
    guided, groups_of = GuidedStudy(sampler, settings.seed), Groups(settings)
    for number in range(30):
        given = groups_of.choose(number).given
        proposed, trial = guided.ask(number, lambda asked: suggest_mask(asked, settings, NAMES), given)
        groups_of.proposed(number, proposed.group)
        guided.tell(number, optuna.trial.TrialState.COMPLETE, [sum(proposed.theta.values())])
        assert proposed.source == trial.params["source"] == given.get("source", proposed.source)
        assert proposed.allocation in ("erk", "uniform")
        assert all(abs(theta) <= 0.5 for theta in proposed.theta.values())
        assert set(trial.params) >= {f"theta/{group}" for group in groups(NAMES, "layer")}
