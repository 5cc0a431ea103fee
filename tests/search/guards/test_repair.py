"""Repairs: mask sets that the guard rejects, mended at their budget."""

import itertools
import json
from collections import OrderedDict

import numpy as np
import pytest
from fullspectrum.models.data import Data, load
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.cli import main
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.files import plain
from fullspectrum.search.guards.connectivity import Limits
from fullspectrum.search.guards.counter import PathCounter
from fullspectrum.search.guards.repair import Unrepairable, repair
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sampling.draw import sample
from fullspectrum.search.sampling.layers import Layers, budget
from fullspectrum.search.worker.measures import scored
from fullspectrum.search.worker.workbench import Workbench
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ...shares import allocate
from ..conftest import run_tiny
from .test_channels import Decides, dense, mlp

PIXELS = Task(1, 2, 2)
CIFAR = Task(3, 32, 10)
ANYTHING = Limits()


def magnitudes(model: nn.Module, without=()) -> dict[str, np.ndarray]:
    weights = prunable(model)
    return {n: np.abs(w.detach().numpy().astype(float)) for n, w in weights.items() if n not in without}


def total(masks) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


def repaired(model: nn.Module, task: Task, masks, limits=ANYTHING, least: float = 0.0, without=()):
    """The repaired masks and the weights moved, with everything checked that a repair promises."""
    counter = PathCounter(model, task, limits)
    shapes = {name: mask.shape for name, mask in masks.items()}
    least = Layers(shapes, least, dense=without).floors()
    before = {name: mask.copy() for name, mask in masks.items()}
    scores = magnitudes(model, without)
    mended, moved = repair(counter, masks, scores, least)
    assert all(np.array_equal(masks[name], before[name]) for name in masks)
    assert counter.check(mended).fault is None
    assert total(mended) == total(masks)
    assert moved == sum(int((mended[name] & ~masks[name]).sum()) for name in masks)
    assert all(np.array_equal(mended[name], masks[name]) for name in without)
    for name, mask in mended.items():
        assert mask.sum() >= min(least[name], masks[name].sum())
    again, none = repair(counter, mended, scores, least)
    assert none == 0 and all(np.array_equal(again[name], mended[name]) for name in mended)
    return mended, moved


def test_a_sound_mask_set_is_left_as_it_is():
    model = mlp(4, 3, 2)
    masks = dense(model)
    masks["fc0.weight"][0] = False
    mended, moved = repaired(model, PIXELS, masks)
    assert moved == 0 and all(np.array_equal(mended[name], masks[name]) for name in masks)


def test_one_missing_weight_is_the_highest_scored_of_those_that_complete_a_path():
    model = mlp(4, 2, 2)
    # Unit 0 is fed, unit 1 is read: a path takes one weight into unit 1, or one out of unit 0.
    masks = {
        "fc0.weight": np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool),
        "fc1.weight": np.array([[0, 1], [0, 1]], dtype=bool),
    }
    scores = {
        "fc0.weight": np.array([[0.5, 0.9, 0.9, 0.9], [0.1, 0.2, 0.7, 0.3]]),
        "fc1.weight": np.array([[0.6, 0.5], [0.1, 0.4]]),
    }
    counter = PathCounter(model, PIXELS)
    mended, moved = repair(counter, masks, scores, {"fc0.weight": 1, "fc1.weight": 1})
    # 0.7 is added; the weight of unit 0, which nothing reads, is given up.
    assert moved == 1
    assert np.argwhere(mended["fc0.weight"]).tolist() == [[1, 2]]
    assert np.array_equal(mended["fc1.weight"], masks["fc1.weight"])


def test_floors_are_kept_so_that_another_weight_goes():
    model = mlp(4, 2, 2)
    masks = {
        "fc0.weight": np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool),
        "fc1.weight": np.array([[0, 1], [0, 1]], dtype=bool),
    }
    scores = {name: np.ones(mask.shape) for name, mask in masks.items()}
    scores["fc1.weight"][0, 1] = 0.5
    mended, _ = repair(PathCounter(model, PIXELS), masks, scores, {"fc0.weight": 2, "fc1.weight": 1})
    # The first layer may not fall below two; of the two that are on a path the lower one goes.
    assert mended["fc0.weight"].sum() == 2
    assert np.argwhere(mended["fc1.weight"]).tolist() == [[1, 1]]


def test_a_weight_that_is_on_no_path_goes_before_one_of_a_lower_score():
    model = mlp(4, 3, 2)
    masks = {
        "fc0.weight": np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool),
        "fc1.weight": np.array([[0, 0, 1], [0, 0, 1]], dtype=bool),
    }
    scores = {"fc0.weight": np.full((3, 4), 5.0), "fc1.weight": np.full((2, 3), 0.1)}
    scores["fc0.weight"][1, 1] = 4.0
    mended, moved = repair(PathCounter(model, PIXELS), masks, scores, dict.fromkeys(masks, 1))
    assert moved == 1
    assert mended["fc0.weight"].any(1).tolist() == [True, False, True]
    assert np.array_equal(mended["fc1.weight"], masks["fc1.weight"])


@pytest.mark.parametrize("gaps", [1, 2, 3, 5])
def test_a_way_through_several_empty_layers_takes_one_weight_in_each(gaps):
    model = mlp(4, *[6] * 6, 2)
    masks = dense(model)
    for name in list(masks)[1 : 1 + gaps]:
        masks[name][:] = False
    _, moved = repaired(model, PIXELS, masks)
    assert moved == gaps


def test_a_collapsed_layer_of_a_branch_gets_a_path_and_not_only_a_weight():
    model = build("resnet20", CIFAR, 0)
    generator = np.random.default_rng(0)
    masks = {name: generator.random(mask.shape) < 0.01 for name, mask in dense(model).items()}
    masks["layer2.1.conv1.weight"][:] = False
    mended, moved = repaired(model, CIFAR, masks)
    assert 1 <= moved <= 2
    assert PathCounter(model, CIFAR).paths(mended).used["layer2.1.conv1.weight"].any()


def test_shortcuts_that_were_pruned_away_pass_their_share_again():
    """Single-shot SynFlow removes the 1 x 1 shortcuts of a residual network entirely."""
    model = build("resnet20", CIFAR, 0)
    generator = np.random.default_rng(0)
    masks = {name: generator.random(mask.shape) < 0.05 for name, mask in dense(model).items()}
    for name, mask in masks.items():
        if "downsample" in name:
            mask[:] = False
    limits = Limits(shortcut_coverage=0.5)
    mended, moved = repaired(model, CIFAR, masks, limits)
    assert PathCounter(model, CIFAR).check(mended).shortcut_coverage >= 0.5
    # Half of 32 and of 64 channels, a weight for each.
    assert moved == 16 + 32


def test_a_network_that_collapsed_to_a_few_channels_is_widened():
    """GraSP on a VGG at high sparsity: all that is kept of the deep layers goes through a handful of channels."""
    widths = (1, 8, 16, 16, 16)
    layers = OrderedDict()
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        layers |= {f"conv{i}": nn.Conv2d(inputs, outputs, 3, padding=1), f"relu{i}": nn.ReLU()}
    model = nn.Sequential(layers | {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(16, 2)})
    masks = dense(model)
    for name in ("conv2.weight", "conv3.weight"):
        masks[name][2:] = False
    counter = PathCounter(model, Task(1, 8, 2))
    assert counter.check(masks).dead_channels > 0.3
    mended, _ = repaired(model, Task(1, 8, 2), masks, Limits(dead_channels=0.1))
    assert counter.check(mended).dead_channels <= 0.1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(2, 6), min_size=1, max_size=4),
    st.floats(0.1, 0.7),
    st.sampled_from([1.0, 0.7, 0.5]),
    st.integers(0, 10_000),
    st.booleans(),
)
def test_a_repaired_mask_set_is_sound_and_keeps_budget_floors_and_dense_layers(hidden, density, limit, seed, keep):
    model = mlp(4, *hidden, 2)
    generator = np.random.default_rng(seed)
    masks = {name: generator.random(mask.shape) < density for name, mask in dense(model).items()}
    whole = ["fc0.weight"] if keep else []
    for name in whole:
        masks[name][:] = True
    try:
        repaired(model, PIXELS, masks, Limits(dead_channels=limit), without=whole)
    except Unrepairable as error:
        # A path takes a weight of each layer, and dead channels twice as many at most; more must be there than that.
        nodes = 4 + 2 * sum(hidden) + 2
        spare = total(masks) - sum(int(masks[name].sum()) for name in whole)
        assert spare < len(masks) - len(whole) + (0 if limit == 1 else nodes), str(error)


def test_a_budget_of_one_path_is_enough():
    model = mlp(4, *[5] * 4, 2)
    masks = {name: np.zeros_like(mask) for name, mask in dense(model).items()}
    for position, mask in enumerate(masks.values()):
        mask[0 if position % 2 else 1, 0] = True
    mended, _ = repaired(model, PIXELS, masks)
    assert [mask.sum() for mask in mended.values()] == [1] * 5


def test_too_small_a_budget_is_not_repaired_and_says_so():
    model = mlp(4, 5, 5, 2)
    masks = {name: np.zeros_like(mask) for name, mask in dense(model).items()}
    masks["fc0.weight"][0, 0] = masks["fc1.weight"][1, 1] = True
    with pytest.raises(Unrepairable, match="too few weights can be given up"):
        repair(PathCounter(model, PIXELS), masks, magnitudes(model), dict.fromkeys(masks, 1))


def test_a_path_that_no_weight_could_make_is_not_looked_for_for_ever():
    class Blocked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.head = nn.Linear(4, 2), nn.Linear(2, 2)

        def forward(self, images):
            return self.head(0 * self.fc(images.flatten(1)))

    model = Blocked()
    with pytest.raises(Unrepairable, match="no path leads there"):
        repair(PathCounter(model, PIXELS), dense(model), magnitudes(model), {"fc.weight": 1, "head.weight": 1})


@pytest.mark.parametrize(("name", "task"), [("digits_cnn", Task(1, 8, 10)), ("resnet20", CIFAR)])
@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_magnitude_at_extreme_sparsity_without_floors_is_repaired(name, task, temperature):
    model = build(name, task, 1)
    scores = magnitudes(model)
    shapes = {n: s.shape for n, s in scores.items()}
    counts = allocate(shapes, 0.9995, "global", scores=scores, min_kept_per_output=0.0)
    mended, moved = repaired(model, task, sample(scores, counts, temperature, 3))
    assert total(mended) == budget(shapes, 0.9995)
    assert moved <= 2


# Of whole candidates.


def study(*overrides: str) -> Study:
    own = {"model": "digits_cnn", "data": "digits", "sparsity": 0.9995}
    own["search"] = {"samples_per_trial": 3, "min_kept_per_output": 0.0, "allocation": "global"}
    return parse(with_overrides(own, overrides))


def bench_of(given: Study, data: Data) -> Workbench:
    return Workbench(given, build(given.model, data.task, given.seed), data)


BROKEN = MaskDistribution("magnitude", 0.5, 0, {}, "global")


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("search.draw=per_layer",),
        ("search.draw=per_layer", "variant=authors"),
        ('search.keep_dense=["conv1"]', "sparsity=0.9992"),
    ],
)
def test_a_repaired_candidate_is_rebuilt_from_its_row_bit_by_bit(digits, overrides):
    bench = bench_of(study("guard.repair=true", *overrides), digits)
    candidates = list(bench.candidates(BROKEN, 11))
    assert {candidate.connectivity.fault for candidate in candidates} == {None}
    assert any(candidate.repaired for candidate in candidates)
    other = bench_of(study("guard.repair=true", *overrides), digits)
    for candidate in candidates:
        row = json.loads(json.dumps(plain(candidate.row()), allow_nan=False))
        masks, moved = other.rebuild(BROKEN, other.counts(BROKEN), row["seed"])
        assert (masks.digest(), moved) == (row["digest"], row["repaired"]) == (candidate.digest, candidate.repaired)
        assert masks.kept == budget(bench.shapes, bench.study.sparsity)
        assert all(masks[name].all() for name in bench.dense)
        assert row["rejected"] is None


def test_without_repair_the_same_candidates_are_rejected_with_their_reason(digits):
    rows = [candidate.row() for candidate in bench_of(study(), digits).candidates(BROKEN, 11)]
    assert {row["rejected"] for row in rows} == {"no path from the input to an output"}
    assert {row["repaired"] for row in rows} == {0}


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_a_candidate_composed_of_repaired_ones_keeps_the_counts_of_every_layer_and_is_rebuilt(digits, variant):
    given = study("sparsity=0.998", "search.draw=per_layer", "guard.repair=true", f"variant={variant}")
    distribution, bench = MaskDistribution("magnitude", 1.0, 0, {}, "global"), bench_of(given, digits)
    *whole, composed = bench.candidates(distribution, 5)
    counts = bench.counts(distribution)
    taken = [candidate for candidate in whole if candidate.seed in set(composed.seed.values())]
    # A repair has moved weights from one layer to another in some of the layers that were taken.
    moved = [{name: int(mask.sum()) for name, mask in one.masks.items()} != counts for one in taken if one.repaired]
    assert any(moved)
    assert {candidate.masks.kept for candidate in (*whole, composed)} == {budget(bench.shapes, 0.998)}
    if not composed.repaired:
        assert {name: int(mask.sum()) for name, mask in composed.masks.items()} == counts
    row = json.loads(json.dumps(plain(composed.row()), allow_nan=False))
    assert bench_of(given, digits).rebuild(distribution, counts, row["seed"]) == (composed.masks, composed.repaired)


def test_what_cannot_be_repaired_is_rejected_with_both_reasons(digits):
    bench = bench_of(study("guard.repair=true", "guard.max_dead_channels=0.01", "search.samples_per_trial=1"), digits)
    row = next(bench.candidates(BROKEN, 11)).row()
    assert row["rejected"].startswith("no path from the input to an output (not repaired: ")
    assert (row["repaired"], row["objective"]) == (0, None)


def test_what_the_guard_measured_is_on_record(digits):
    candidate = next(bench_of(study("sparsity=0.9"), digits).candidates(BROKEN, 11))
    row, metrics = candidate.row(), scored(candidate, candidate.coordinate, None, 7).metrics
    found = candidate.connectivity
    assert row["guard/dead_channels"] == metrics["guard/dead_channels"] == found.dead_channels > 0
    assert row["guard/empty_channels"] == metrics["guard/empty_channels"] == found.empty_channels
    assert found.empty_channels <= found.dead_channels
    # A chain has no shortcuts.
    assert row["guard/shortcut_coverage"] is None and "guard/shortcut_coverage" not in metrics


@pytest.mark.parametrize("limit", ["min_shortcut_coverage", "max_dead_channels"])
def test_no_limit_can_be_put_on_what_is_only_estimated(digits, limit):
    given = study("sparsity=0.5", f"guard.{limit}=0.5")
    with pytest.raises(InputError, match=f"{limit} = 0.5, but the paths of digits_cnn are only estimated"):
        Workbench(given, Decides(), digits)
    assert bench_of(given, digits).paths.shortcuts == ()


@pytest.mark.parametrize("setting", ["max_dead_channels=1.5", "min_shortcut_coverage=-0.1", "repair=3"])
def test_limits_are_fractions_and_repair_is_a_choice(setting):
    with pytest.raises(InputError, match=f"guard.{setting.split('=')[0]}"):
        study(f"guard.{setting}")


def test_a_study_that_says_nothing_of_the_guard_keeps_its_id():
    assert study().id == study("guard.repair=false", "guard.max_dead_channels=1.0").id != study("guard.repair=true").id


def test_sample_repairs_where_it_is_told_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["sample", "--model", "digits_cnn", "--data", "digits", "--source", "magnitude", "--sparsity", "0.9995"]
    command += ["--set", "search.min_kept_per_output=0"]
    assert main([*command, "-o", "broken.safetensors"]) == 0
    assert "this mask cannot train: no path from the input to an output" in capsys.readouterr().err
    assert main([*command, "--set", "guard.repair=true", "-o", "mended.safetensors"]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "this mask was repaired" in said
    broken, mended = MaskSet.load("broken.safetensors"), MaskSet.load("mended.safetensors")
    assert mended.kept == broken.kept
    moved = sum(int((mended[name] & ~broken[name]).sum()) for name in mended)
    assert mended.metadata["repaired"] == str(moved)
    assert "repaired" not in broken.metadata


def test_a_search_over_allocations_repairs_and_records_what_the_guard_found(tmp_path):
    result = run_tiny(
        tmp_path,
        "sparsity=0.9992",
        "search.trials=3",
        "search.sources=['magnitude']",
        "search.allocation={choices=['global', 'lamp', 'igq']}",
        "search.min_kept_per_output=0",
        "guard.repair=true",
        "warmup.iterations=0",
        "final.top_k=0",
    )
    bench = bench_of(result.study, load("digits"))
    moved = 0
    for trial in result.trials:
        assert trial.distribution.allocation in ("global", "lamp", "igq")
        assert trial.result.metrics["guard/dead_channels"] >= trial.result.metrics["guard/empty_channels"] > 0
        record = json.loads((result.folder.trial(trial.number) / "candidates.json").read_text())
        for row in record["candidates"]:
            masks, repaired = bench.rebuild(trial.distribution, record["counts"], row["seed"])
            assert (masks.digest(), repaired) == (row["digest"], row["repaired"])
            moved += repaired
    assert moved > 0
