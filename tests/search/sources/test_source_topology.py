"""Sources that choose graphs: biregular masks, and ascent from the masks of another source."""

import dataclasses
import pickle

import numpy as np
import pytest
from fullspectrum.models.data import load
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import layout, prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sources import Setting, source_called
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.spectral.coordinate import full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES

from ...everylayer import EveryLayer

MODEL = EveryLayer()
SETTING = Setting(MODEL, load("digits"), 1000)
GROUPS = layout(MODEL).groups


def drawn(called, counts, seed=0, setting=SETTING) -> dict[str, np.ndarray]:
    """A mask for each layer by its count, at the source's own temperature."""
    scores = called.scores(setting, 0)
    return {
        name: called.draw(setting, name, scores[name], count, called.default_temperature, seed)
        for name, count in counts.items()
    }


def blocks(name: str, mask: np.ndarray) -> np.ndarray:
    """The graphs of a layer's groups, (groups, rows, columns)."""
    groups = GROUPS.get(name, 1)
    return mask.reshape(groups, len(mask) // groups, -1)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.31, 0.77, 1.0])
def test_biregular_masks_of_every_kind_of_layer_meet_counts_and_degrees_exactly(share):
    counts = {name: round(share * weight.numel()) for name, weight in prunable(MODEL).items()}
    for name, mask in drawn(source_called("biregular"), counts).items():
        assert mask.dtype == bool and mask.shape == tuple(prunable(MODEL)[name].shape) and mask.sum() == counts[name]
        graphs = blocks(name, mask)
        assert np.ptp(graphs.sum(axis=(1, 2))) <= 1
        assert np.ptp(graphs.sum(axis=1), axis=1).max() <= 1 and np.ptp(graphs.sum(axis=2), axis=1).max() <= 1


def test_a_biregular_draw_depends_on_layer_and_seed_alone():
    counts = {name: weight.numel() // 3 for name, weight in prunable(MODEL).items()}
    called = source_called("biregular")
    masks, again = drawn(called, counts), drawn(called, dict(reversed(counts.items())))
    assert all(np.array_equal(masks[name], again[name]) for name in counts)
    assert not np.array_equal(masks["head.weight"], drawn(called, counts, seed=1)["head.weight"])


@pytest.mark.parametrize("start", ["random", "magnitude", "snip", "biregular"])
@pytest.mark.parametrize(("objective", "variant"), [("l2", "paper"), ("imdb", "paper"), ("imdb", "authors")])
def test_ascent_keeps_every_degree_of_its_start_and_no_layers_term_falls(start, objective, variant):
    counts = {name: weight.numel() // 3 for name, weight in prunable(MODEL).items()}
    setting = dataclasses.replace(SETTING, objective=OBJECTIVES[objective], variant=variant)
    before, after = (drawn(source_called(name), counts, 0, setting) for name in (start, f"ascent:{start}"))
    for name in counts:
        for axis in (1, 2):
            assert np.array_equal(blocks(name, before[name]).sum(axis), blocks(name, after[name]).sum(axis))
    weights, inputs_first = prunable(MODEL), layout(MODEL).inputs_first
    low, high = (
        np.array(list(OBJECTIVES[objective].terms(coordinate).values()))
        for coordinate in (
            full_spectrum(masks, weights, GROUPS, inputs_first, variant=variant, threads=1) for masks in (before, after)
        )
    )
    assert np.array_equal(np.isnan(low), np.isnan(high))
    assert (np.nan_to_num(high) >= np.nan_to_num(low)).all() and (high > low).any()


def test_ascent_by_itself_starts_from_random():
    counts = {"head.weight": 30}
    assert np.array_equal(
        drawn(source_called("ascent"), counts)["head.weight"],
        drawn(source_called("ascent:random"), counts)["head.weight"],
    )


@pytest.mark.parametrize("start", ["snip", "magnitude", "biregular", "random"])
def test_ascent_is_searched_as_its_start_is(start):
    one, other = source_called(start), source_called(f"ascent:{start}")
    for attribute in ("data_driven", "has_saliency", "searches_temperature", "default_temperature"):
        assert getattr(one, attribute) == getattr(other, attribute)
    assert other.scored_as == start and one.scored_as is None


def test_ascent_from_a_file_reads_it_once_and_says_what_it_started_from(tmp_path):
    masks = MaskSet({name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(MODEL).items()})
    path = masks.save(tmp_path / "mask.safetensors")
    called = source_called(f"ascent:file:{path}")
    called.check(SETTING)
    path.unlink()
    elsewhere = pickle.loads(pickle.dumps(called))
    assert elsewhere.origin() == {"start_digest": masks.digest()}
    assert all(mask.sum() == 9 for mask in drawn(elsewhere, {name: 9 for name in masks}).values())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ascent:ascent", "ascent starts from another source, as in ascent:snip"),
        ("ascent:ascent:snip", "ascent starts from another source"),
        ("ascent:snop", 'unknown source "snop", did you mean "snip"'),
        ("ascent:", 'did you mean "ascent"'),
        ("biregulr", 'did you mean "biregular"'),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_one_line(name, message):
    with pytest.raises(InputError, match=message):
        source_called(name)


def test_a_study_climbs_its_own_objective_and_scores_its_start_once():
    search = {"sources": ["snip", "ascent:snip"], "samples_per_trial": 1}
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.98, "objective": "imdb", "search": search}
    data = load("digits")
    bench = Workbench(parse(settings), build("digits_cnn", data.task, 0), data)
    values = {}
    for name in search["sources"]:
        distribution = MaskDistribution(name, 0.0, 0, {}, "erk")
        masks = bench.draw(distribution, bench.counts(distribution), 0)
        values[name] = full_spectrum(masks, bench.weights, threads=1).mean("imdb")
    assert values["ascent:snip"] > values["snip"]
    assert bench.scores(MaskDistribution("snip", 0.0, 0, {})) is bench.scores(distribution)
