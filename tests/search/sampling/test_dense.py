"""Parameters that are kept whole: patterns, budgets, every source, and the way into the record."""

import math

import numpy as np
import pytest
from fullspectrum.models.data import Data
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.cli import main
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.final.baselines import erk_random
from fullspectrum.search.sampling.dense import kept_dense
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sampling.layers import AllocationError, budget
from fullspectrum.search.sampling.registry import ALLOCATIONS
from fullspectrum.search.sources import SOURCES
from fullspectrum.search.worker.workbench import Workbench
from hypothesis import assume, given
from hypothesis import strategies as st

from ...shares import allocate

NAMES = [
    "conv1.weight",
    "layer1.0.conv1.weight",
    "layer1.0.downsample.0.weight",
    "layer2.0.downsample.0.weight",
    "fc.weight",
    "attention.in_proj_weight",
]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("conv1", ["conv1.weight"]),
        ("conv1.weight", ["conv1.weight"]),
        ("*conv1", ["conv1.weight", "layer1.0.conv1.weight"]),
        ("*.downsample.*", ["layer1.0.downsample.0.weight", "layer2.0.downsample.0.weight"]),
        ("layer[2-9].*", ["layer2.0.downsample.0.weight"]),
        ("f?", ["fc.weight"]),
        ("attention.in_proj_weight", ["attention.in_proj_weight"]),
    ],
)
def test_a_pattern_is_a_name_with_or_without_weight_or_has_wildcards(pattern, matched):
    assert kept_dense(NAMES, [pattern]) == set(matched)


def test_patterns_add_up_and_none_of_them_keeps_nothing():
    assert kept_dense(NAMES, ["fc", "conv1", "f*"]) == {"fc.weight", "conv1.weight"}
    assert kept_dense(NAMES, []) == frozenset()


def test_a_pattern_that_matches_nothing_is_told_with_the_nearest_name_and_the_names():
    with pytest.raises(InputError) as caught:
        kept_dense(NAMES, ["fc", "conv2"])
    message = str(caught.value)
    assert message.startswith("keep_dense: 'conv2' matches no prunable parameter, did you mean \"conv1\"?; they are")
    assert "\n" not in message
    with pytest.raises(InputError, match="they are layer0, .*, layer7 and 4 more$"):
        kept_dense([f"layer{i}.weight" for i in range(12)], ["fc"])


def test_case_counts():
    with pytest.raises(InputError, match="'FC' matches no"):
        kept_dense(NAMES, ["FC"])


def test_something_must_be_left_to_prune():
    with pytest.raises(InputError, match="matches every prunable parameter; nothing is left"):
        kept_dense(NAMES, ["*"])


SIDES = st.integers(1, 24)
SHAPES = st.lists(st.tuples(SIDES, SIDES), min_size=2, max_size=6).map(
    lambda shapes: {f"layer{i}": s for i, s in enumerate(shapes)}
)


@pytest.mark.parametrize("base", ALLOCATIONS)
@given(shapes=SHAPES, sparsity=st.floats(0, 0.99), some=st.data())
def test_the_budget_is_exact_with_dense_layers_whatever_the_allocation(base, shapes, sparsity, some):
    dense = some.draw(st.sets(st.sampled_from(list(shapes)), max_size=len(shapes) - 1))
    least = sum(math.prod(s) if n in dense else min(s[0], math.prod(s)) for n, s in shapes.items())
    assume(budget(shapes, sparsity) >= least)
    generator = np.random.default_rng(0)
    scores = {name: generator.random(shape) for name, shape in shapes.items() if name not in dense}
    counts = allocate(shapes, sparsity, base, scores=scores, dense=dense)
    assert sum(counts.values()) == budget(shapes, sparsity)
    assert all(counts[name] == math.prod(shapes[name]) for name in dense)


def test_a_ranking_is_of_the_other_layers_alone():
    shapes = {"a": (10, 10), "b": (10, 10), "c": (10, 10)}
    generator = np.random.default_rng(1)
    scores = {name: generator.random((10, 10)) * scale for name, scale in (("a", 1.0), ("c", 0.8))}
    # 100 of the 150 kept weights are those of b: the 50 best of a and c remain.
    ranking = sorted(((-v, name) for name, values in scores.items() for v in values.flat))[:50]
    by_hand = {name: sum(owner == name for _, owner in ranking) for name in scores}
    assert allocate(shapes, 0.5, "global", scores=scores, dense={"b"}) == by_hand | {"b": 100}


def test_theta_of_a_dense_layer_changes_nothing():
    shapes = {"a": (10, 100), "b": (20, 100), "c": (5, 100)}
    plain = allocate(shapes, 0.7, "erk", dense={"c"})
    assert allocate(shapes, 0.7, "erk", {"c": -3.0}, dense={"c"}) == plain


def test_a_budget_that_dense_layers_use_up_is_told_with_their_number():
    with pytest.raises(AllocationError) as caught:
        allocate({"a": (10, 100), "b": (20, 100)}, 0.9, dense={"a"})
    # 1,000 and a weight for each of 20 outputs; 300 are to be kept.
    for part in ("keeps 300 of 3,000", "need 1,020", "1 kept whole by keep_dense", "met is 0.66"):
        assert part in str(caught.value)


def study(*overrides: str) -> Study:
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": {"samples_per_trial": 2}}
    short = ("search.rounds=2", "search.round_iterations=2")
    return parse(with_overrides(settings, ('search.keep_dense=["conv1", "fc2"]', *short, *overrides)))


def bench_of(settings: Study, data: Data) -> Workbench:
    return Workbench(settings, build(settings.model, data.task, settings.seed), data)


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_draws_with_dense_layers(digits, name):
    bench = bench_of(study(), digits)
    distribution = MaskDistribution(name, bench.source(name).default_temperature, 0, {}, "global")
    assert bench.scores(distribution).keys() == bench.shapes.keys() - {
        "conv1.weight",
        "fc2.weight",
    }
    masks = bench.draw(distribution, bench.counts(distribution), 3)
    assert masks["conv1.weight"].all() and masks["fc2.weight"].all()
    assert masks.kept == budget(bench.shapes, 0.9)


def test_the_random_baseline_keeps_them_too(digits):
    masks = erk_random(bench_of(study(), digits), 0)
    assert masks["conv1.weight"].all() and masks["fc2.weight"].all()
    assert masks.kept == budget({name: mask.shape for name, mask in masks.items()}, 0.9)


def test_theta_is_searched_of_the_other_layers_only(digits):
    assert list(bench_of(study(), digits).setting.weights) == ["conv2.weight", "conv3.weight", "fc1.weight"]


def test_a_mask_file_holds_them_whole_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ["--model", "digits_cnn", "--data", "digits", "--source", "magnitude", "--sparsity", "0.9"]
    assert main(["sample", *common, "--set", 'search.keep_dense=["conv*"]', "-o", "m.safetensors"]) == 2
    assert main(["sample", *common, "--set", 'search.keep_dense=["conv1"]', "-o", "m.safetensors"]) == 0
    masks = MaskSet.load("m.safetensors")
    assert masks.layer_sparsity["conv1.weight"] == 0
    assert masks.sparsity == pytest.approx(0.9, abs=1e-6)


def test_an_unmatched_pattern_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = ["--model", "digits_cnn", "--data", "digits", "--source", "magnitude", "--sparsity", "0.9"]
    assert main(["sample", *common, "--set", 'search.keep_dense=["convv1"]', "-o", "m.safetensors"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "'convv1' matches no prunable parameter, did you mean \"conv1\"?" in said
