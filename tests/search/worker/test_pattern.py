"""A study with an N:M pattern: every candidate and every baseline has it, in every layer that can."""

import json
import math

import numpy as np
import optuna
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.cli import main
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.final.baselines import erk_random, inverted, shuffled
from fullspectrum.search.final.origin import settings_of
from fullspectrum.search.guidance.space import suggest_mask
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sampling.pattern import Pattern
from fullspectrum.search.sources import Source
from fullspectrum.search.worker.preparation import prepare
from fullspectrum.search.worker.workbench import Workbench

TWO_OF_FOUR = Pattern(2, 4)
#: Its rows have 9 weights.
WHOLE = "conv1.weight"


class OwnDraw(Source):
    def scores(self, setting, seed):
        return {name: np.ones(tuple(weight.shape)) for name, weight in setting.weights.items()}

    def draw(self, setting, name, scores, count, temperature, seed):
        return np.arange(scores.size).reshape(scores.shape) < count


def study(*overrides: str) -> Study:
    search = {"samples_per_trial": 2, "pattern": "2:4", "sources": ["magnitude", "synflow"]}
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.5, "search": search}
    return parse(with_overrides(settings, overrides))


@pytest.fixture(scope="module")
def bench_of(digits):
    return lambda *overrides: Workbench(study(*overrides), build("digits_cnn", digits.task, 0), digits)


def check(masks, whole=(WHOLE,)):
    assert all(TWO_OF_FOUR.holds(mask) != (name in whole) for name, mask in masks.items())
    assert all(masks[name].all() for name in whole)


@pytest.mark.parametrize("draw", ["whole", "per_layer"])
@pytest.mark.parametrize("source", ["magnitude", "synflow"])
def test_every_candidate_has_the_pattern(bench_of, source, draw):
    bench = bench_of(f"search.draw={draw}")
    distribution = MaskDistribution(source, 1.0, 0, {})
    candidates = list(bench.candidates(distribution, 5))
    assert len(candidates) == (3 if draw == "per_layer" else 2)
    for candidate in candidates:
        check(candidate.masks)
        assert candidate.score is not None
        rebuilt, moved = bench.rebuild(distribution, bench.counts(distribution), candidate.seed)
        assert (rebuilt.digest(), moved) == (candidate.digest, 0)
    assert len({candidate.digest for candidate in candidates}) == len(candidates)


def test_counts_are_those_of_the_pattern_whatever_allocation_and_theta_say(bench_of):
    bench = bench_of()
    counts = bench.counts(MaskDistribution("magnitude", 0.0, 0, {"fc1": 0.5}, "uniform"))
    sizes = {name: math.prod(shape) for name, shape in bench.shapes.items()}
    assert counts == {name: size if name == WHOLE else size // 2 for name, size in sizes.items()}
    assert bench.setting.kept == sum(counts.values()) - sizes[WHOLE]
    masks = bench.draw(MaskDistribution("magnitude", 0.0, 0, {}), counts, 0)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == counts


def test_layers_that_are_kept_dense_have_no_pattern(bench_of):
    bench = bench_of("search.keep_dense=['fc2']")
    distribution = MaskDistribution("magnitude", 0.0, 0, {})
    check(bench.draw(distribution, bench.counts(distribution), 0), (WHOLE, "fc2.weight"))


def test_theta_is_not_searched(bench_of):
    trial = optuna.trial.FixedTrial({"source": "magnitude", "temperature": 1.0})
    assert suggest_mask(trial, study(), list(bench_of().shapes)).theta == {}


@pytest.mark.parametrize("source", ["biregular", "ascent:magnitude"])
def test_a_source_that_draws_by_itself_is_refused(bench_of, source):
    with pytest.raises(InputError, match="draws masks of its own"):
        bench_of(f"search.sources=['{source}']")


def test_a_users_source_that_draws_by_itself_is_refused(bench_of):
    assert OwnDraw().has_own_draw
    assert not bench_of().source("random").has_own_draw


def test_a_pattern_that_fits_no_layer_is_refused(bench_of):
    with pytest.raises(InputError, match=r"search.pattern = 500:1000 fits no layer .* conv1.weight \(9 inputs\)"):
        bench_of("search.pattern=500:1000")


def test_baselines_have_the_pattern_too(bench_of):
    bench = bench_of()
    distribution = MaskDistribution("magnitude", 0.0, 0, {})
    drawn = bench.draw(distribution, bench.counts(distribution), 0)
    masks = MaskSet(drawn, bench.metadata(distribution, 0))
    moved, worst = shuffled(masks, 0), inverted(bench, masks, distribution)
    for made in (erk_random(bench, 0), moved, worst):
        check(made)
        assert made.digest() != masks.digest()
    # The two of four that magnitude does not keep.
    assert all((worst[name] != mask).all() for name, mask in masks.items() if name != WHOLE)


def test_a_shuffle_of_a_mask_without_a_pattern_is_what_it_was():
    masks = MaskSet({"a": np.eye(8, dtype=bool)})
    assert shuffled(masks, 0)["a"].sum() == 8
    assert not Pattern(1, 8).holds(shuffled(masks, 0)["a"])


def test_the_user_is_told_which_layers_stay_whole(capsys):
    prepare(study("search.sources=['magnitude']"))
    err = capsys.readouterr().err
    assert "search.pattern = 2:4 keeps 1 of 5 layers whole: conv1.weight (9 inputs)" in err


def test_a_mask_of_the_command_line_has_the_pattern_and_says_so(tmp_path, capsys):
    path = tmp_path / "mask.safetensors"
    sample = ["sample", "--model", "digits_cnn", "--data", "digits", "--source", "magnitude", "--sparsity", "0.5"]
    assert main([*sample, "--set", "search.pattern=2:4", "-o", str(path)]) == 0
    assert "keeps 1 of 5 layers whole" in capsys.readouterr().err
    masks = MaskSet.load(path)
    check(masks)
    assert masks.metadata["pattern"] == "2:4" and json.loads(masks.metadata["keep_dense"]) == [WHOLE]
    assert settings_of(masks)["pattern"] == "2:4"
    assert "pattern" not in settings_of(MaskSet(masks, {"pattern": "4:2"}))
