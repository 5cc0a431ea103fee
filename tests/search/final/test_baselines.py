"""What a mask must beat."""

import numpy as np
import pytest
from fullspectrum.models.data import load
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.final.baselines import erk_random, inverted, other_weights, shuffled
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.workbench import Workbench


@pytest.fixture(scope="module")
def bench() -> Workbench:
    data = load("digits")
    search = {"sources": ["snip", "random", "magnitude"], "keep_dense": ["fc2"]}
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.98, "search": search})
    return Workbench(study, build("digits_cnn", data.task, 0), data)


@pytest.fixture(scope="module")
def drawn(bench) -> tuple[MaskSet, MaskDistribution]:
    distribution = MaskDistribution("snip", 0.0, 1, {}, "erk")
    masks = bench.draw(distribution, bench.counts(distribution), 7)
    return MaskSet(masks, bench.metadata(distribution, 7)), distribution


def kept(masks: MaskSet) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def test_a_shuffle_keeps_the_layer_sparsities_and_nothing_else(drawn):
    masks, _ = drawn
    moved = shuffled(masks, 0)
    assert kept(moved) == kept(masks)
    fc1 = masks["fc1.weight"]
    # Of 409,600 weights with a share p kept, a random mask shares p of those with another: five standard deviations.
    share = fc1.mean()
    common = (moved["fc1.weight"] & fc1).sum() / fc1.sum()
    assert abs(common - share) < 5 * np.sqrt(share * (1 - share) / fc1.sum())
    assert moved["fc2.weight"].all()


def test_a_shuffle_is_a_function_of_its_seed(drawn):
    masks, _ = drawn
    assert shuffled(masks, 3).digest() == shuffled(masks, 3).digest() != shuffled(masks, 4).digest()


def test_inverted_scores_keep_the_weights_of_the_lowest_scores(bench, drawn):
    masks, distribution = drawn
    worst, scores = inverted(bench, masks, distribution), bench.scores(distribution)
    assert kept(worst) == kept(masks)
    assert worst["fc2.weight"].all()
    for name, values in scores.items():
        assert values[worst[name]].max() <= values[~worst[name]].min()
        # At most half of the weights kept, the highest and the lowest have none in common.
        assert (worst[name] & masks[name]).any() == (masks[name].mean() > 0.5)


def test_scores_that_know_nothing_are_not_inverted(bench, drawn):
    assert inverted(bench, drawn[0], MaskDistribution("random", 0.0, 0, {})) is None


def test_a_random_mask_has_the_sparsity_of_the_study_and_its_dense_layers(bench):
    masks = erk_random(bench, 0)
    assert masks.sparsity == pytest.approx(0.98, abs=1e-6)
    assert masks["fc2.weight"].all()
    assert masks.metadata["source"] == "random"


def test_other_weights_are_others_in_every_layer(bench):
    own, other = (prunable(build("digits_cnn", bench.data.task, seed)) for seed in (0, other_weights(0)))
    assert all((own[name] != other[name]).any() for name in own)


def test_what_is_made_of_a_mask_does_not_say_that_a_source_drew_it(bench, drawn):
    masks, distribution = drawn
    for made in (shuffled(masks, 0), inverted(bench, masks, distribution)):
        assert made.metadata["of"] == masks.digest()
        assert not made.metadata.keys() & {"seed", "temperature", "batch_seed", "theta"}
        assert made.metadata["init_digest"] == masks.metadata["init_digest"]
