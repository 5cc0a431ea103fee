"""Candidates: guarded, scored, and rebuilt bit by bit from their rows."""

import copy
import json
import math
from collections import OrderedDict
from functools import reduce

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.seeds import derive
from fullspectrum.models.weights import init_digest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.files import plain
from fullspectrum.search.guards.connectivity import Connectivity
from fullspectrum.search.names import Metric
from fullspectrum.search.protocol.ranking import Ranking, Term
from fullspectrum.search.sampling.allocation import budget
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.scores.learned import shipped
from fullspectrum.search.worker import workbench as candidates_module
from fullspectrum.search.worker.candidate import Candidate, better
from fullspectrum.search.worker.measures import coordinate_table, scored
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.spectral.coordinate import FIELDS, full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES
from torch import nn

DISTRIBUTIONS = [
    MaskDistribution("random", math.inf, 0, {"conv2": 0.4, "fc1": -0.3}),
    MaskDistribution("magnitude", 0.5, 0, {"conv2": -0.4}),
    MaskDistribution("snip", 0.3, 1, {}),
    MaskDistribution("snip", 0.0, 0, {}),
]


def study(*overrides: str) -> Study:
    settings = {"model": "digits_cnn", "data": "digits", "sparsity": 0.98, "search": {"samples_per_trial": 3}}
    return parse(with_overrides(settings, overrides))


@pytest.fixture(scope="module")
def workbench_of(digits):
    """Makes a workbench as a new worker does, from settings alone."""

    def make(settings: Study) -> Workbench:
        return Workbench(settings, build(settings.model, digits.task, settings.seed), digits)

    return make


@pytest.fixture(scope="module")
def workbench(workbench_of) -> Workbench:
    return workbench_of(study())


PER_LAYER = "search.draw=per_layer"
AUTHORS = study("variant=authors")


@pytest.mark.parametrize("draw", ["search.draw=whole", PER_LAYER])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda d: f"{d.source}-{d.temperature:g}")
def test_a_candidate_is_rebuilt_from_its_row_bit_by_bit(workbench_of, distribution, draw):
    workbench = workbench_of(study(draw))
    candidates = list(workbench.candidates(distribution, trial_seed=11))
    record = json.loads(
        json.dumps(
            plain(
                {
                    "distribution": distribution.to_dict(),
                    "counts": workbench.counts(distribution),
                    "candidates": [candidate.row() for candidate in candidates],
                }
            ),
            allow_nan=False,
        )
    )
    other = workbench_of(study())
    again = MaskDistribution.from_dict(record["distribution"])
    assert other.counts(again) == record["counts"]
    for candidate, row in zip(candidates, record["candidates"], strict=True):
        masks = other.draw(again, record["counts"], row["seed"])
        assert masks == candidate.masks
        assert masks.digest() == row["digest"] == candidate.digest
        assert plain(other.evaluate([(masks, row["seed"])])[0].row()) == row


def test_candidates_of_a_trial_have_seeds_of_their_own_and_meet_the_budget(workbench):
    candidates = list(workbench.candidates(DISTRIBUTIONS[0], trial_seed=11))
    assert [candidate.seed for candidate in candidates] == [derive(11, "candidate", index) for index in range(3)]
    assert len({candidate.digest for candidate in candidates}) == 3
    kept = budget(workbench.shapes, 0.98)
    assert {candidate.masks.kept for candidate in candidates} == {kept}


def test_a_candidate_does_not_depend_on_how_many_were_asked_for(workbench, workbench_of):
    more = workbench_of(study("search.samples_per_trial=5"))
    digests = [c.digest for c in more.candidates(DISTRIBUTIONS[1], 11)]
    assert digests[:3] == [c.digest for c in workbench.candidates(DISTRIBUTIONS[1], 11)]


def test_at_temperature_zero_all_candidates_are_the_sources_own(workbench):
    assert len({candidate.digest for candidate in workbench.candidates(DISTRIBUTIONS[3], 11)}) == 1


def test_the_distance_is_that_of_the_coordinate_on_the_initial_weights(workbench, workbench_of):
    for settings in (study(), study("reference=dense", "aggregate=mean_vector")):
        candidate = next(workbench_of(settings).candidates(DISTRIBUTIONS[0], 11))
        coordinate = full_spectrum(candidate.masks, workbench.weights)
        assert candidate.score == coordinate.l2_distance(settings.reference, settings.aggregate)
        assert candidate.row()["l2"] == candidate.row()["objective"] == candidate.score
        assert candidate.row()["defined_layers"] == coordinate.defined_layers
        assert candidate.row()["sparsity/effective"] == candidate.connectivity.effective_sparsity


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_objective_chooses_and_every_other_is_on_record(workbench_of, objective):
    candidate = next(workbench_of(study(f"objective={objective}")).candidates(DISTRIBUTIONS[1], 11))
    row, metrics = candidate.row(), scored(candidate, candidate.coordinate, None, 7).metrics
    for name, other in OBJECTIVES.items():
        assert row[name] == metrics[Metric.score(name)] == other.value(candidate.coordinate)
    assert row["live_channels"] == 1 - candidate.connectivity.dead_channels
    magnitudes = {name: np.abs(weight) for name, weight in workbench_of(study()).weights.items()}
    kept = sum(values[candidate.masks[name]].sum(dtype=float) for name, values in magnitudes.items())
    assert row["kept_magnitude"] == pytest.approx(kept / sum(v.sum(dtype=float) for v in magnitudes.values()))
    assert candidate.score == row["objective"] == metrics["spectral/objective"] == row[objective]


def test_the_ranking_of_a_proposal_chooses_where_the_score_is_learned(workbench_of):
    bench = workbench_of(study("objective=learned"))
    by_package = list(bench.candidates(DISTRIBUTIONS[0], 11))
    ranking = Ranking({"l2": Term(-1.0, 0.5, 3.0), "live_channels": Term(0.1, 0.01)}, 16, 0.25)
    by_proposal = list(bench.candidates(DISTRIBUTIONS[0], 11, ranking))
    assert [one.digest for one in by_proposal] == [one.digest for one in by_package]
    for candidates, used in ((by_package, shipped()), (by_proposal, ranking)):
        for candidate in candidates:
            row = candidate.row()
            # What a row holds explains its score.
            assert candidate.score == row["objective"] == row["learned"] == pytest.approx(used.value(row))
    assert reduce(better, by_proposal, None).score == max(one.score for one in by_proposal)


def test_the_variant_of_the_study_is_that_of_its_scores_and_stands_beside_them(workbench, workbench_of):
    paper, authors = (next(bench.candidates(DISTRIBUTIONS[0], 11)) for bench in (workbench, workbench_of(AUTHORS)))
    assert (paper.row()["variant"], authors.row()["variant"]) == ("paper", "authors")
    assert paper.digest == authors.digest
    expected = full_spectrum(paper.masks, workbench.weights, variant="authors")
    assert authors.score == authors.row()["l2"] == expected.l2_distance() != paper.score
    assert authors.row()["imdb"] == expected.mean("imdb") != paper.row()["imdb"]
    # Recorded whatever the variant.
    assert authors.row()["l2_authors"] == paper.row()["l2_authors"] == expected.l2_distance()
    assert authors.row()["layers"]["fc1.weight"] == plain(
        {field: getattr(expected.layers["fc1.weight"], field) for field in FIELDS}
    )
    table = coordinate_table(authors.coordinate)
    assert table["columns"][-1] == "variant" and {row[-1] for row in table["data"]} == {"authors"}
    assert workbench_of(AUTHORS).metadata(DISTRIBUTIONS[0], 5)["variant"] == "authors"


def test_the_start_is_the_weights_before_pretraining(workbench_of):
    bench = workbench_of(study().model_copy(update={"reference": "start"}))
    bench.start_weights = {name: 2 * weight for name, weight in bench.weights.items()}
    candidate = next(bench.candidates(DISTRIBUTIONS[0], 11))
    coordinate = full_spectrum(candidate.masks, bench.weights)
    # Half of the weights that it started from: the gaps have moved by themselves.
    moved = sum(math.hypot(*np.nan_to_num(layer.vector[2:])) for layer in coordinate.layers.values())
    assert candidate.score == pytest.approx(moved, rel=1e-7)


def test_a_row_holds_the_coordinate_of_every_layer(workbench):
    candidate = next(workbench.candidates(DISTRIBUTIONS[0], 11))
    layers = candidate.row()["layers"]
    assert list(layers) == list(workbench.shapes)
    for name, values in layers.items():
        layer = candidate.coordinate.layers[name]
        assert tuple(values) == FIELDS
        np.testing.assert_array_equal(np.array(list(values.values()), dtype=float), layer.vector)


def test_theta_and_the_sources_batch_reach_the_draw(workbench):
    plain_counts = workbench.counts(MaskDistribution("snip", 0.0, 0, {}))
    assert (
        workbench.counts(MaskDistribution("snip", 0.0, 0, {"conv2": 0.5}))["conv2.weight"]
        > plain_counts["conv2.weight"]
    )
    assert workbench.counts(MaskDistribution("snip", 0.0, 1, {})) == plain_counts
    draws = {workbench.draw(MaskDistribution("snip", 0.0, batch, {}), plain_counts, 0).digest() for batch in (0, 1)}
    assert len(draws) == 2


def test_the_global_allocation_follows_the_sources_scores(workbench_of):
    # At half of the weights the ranking empties no layer.
    bench = workbench_of(study("sparsity=0.5", "search.allocation=global", "search.min_kept_per_output=0"))
    distribution = MaskDistribution("magnitude", 0.0, 0, {}, "global")
    masks = bench.draw(distribution, bench.counts(distribution), 0)
    magnitudes = {name: np.abs(weight) for name, weight in bench.weights.items()}
    least_kept = min(values[masks[name]].min() for name, values in magnitudes.items())
    most_removed = max(values[~masks[name]].max() for name, values in magnitudes.items() if not masks[name].all())
    assert least_kept >= most_removed


def test_scores_are_computed_once_for_each_source_and_batch(workbench):
    one, other = (MaskDistribution("snip", 0.0, batch, {}) for batch in (1, 0))
    assert workbench.scores(one) is workbench.scores(one)
    assert workbench.scores(one) is not workbench.scores(other)


def test_the_workbench_leaves_its_model_at_the_initial_weights(workbench):
    list(workbench.candidates(DISTRIBUTIONS[2], 5))
    assert init_digest(initial_state(workbench.model)) == workbench.init_digest


def test_a_rejected_candidate_is_not_scored_and_says_why(workbench):
    masks = {name: np.ones(shape, dtype=bool) for name, shape in workbench.shapes.items()}
    masks["conv2.weight"] = np.zeros(workbench.shapes["conv2.weight"], dtype=bool)
    rejected = workbench.evaluate([(MaskSet(masks), 7)])[0]
    assert rejected.score is None
    assert rejected.coordinate is None
    row = rejected.row()
    assert row["rejected"] == "collapsed: nothing is kept of conv2.weight"
    assert (row["objective"], row["layers"], row["defined_layers"], row["seed"]) == (None, {}, 0, "7")
    assert all(row[name] is None for name in OBJECTIVES)
    assert row["digest"] == MaskSet(masks).digest()
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("objective", ["l2", "imdb", "weighted_gap"])
@pytest.mark.parametrize("distribution", DISTRIBUTIONS[:3], ids=lambda d: d.source)
def test_the_composed_candidate_takes_each_layer_from_the_draw_where_it_scores_highest(
    workbench_of, distribution, objective
):
    bench = workbench_of(study(PER_LAYER, f"objective={objective}", "search.samples_per_trial=6"))
    *whole, composed = bench.candidates(distribution, 11)
    assert len(whole) == 6
    terms = [OBJECTIVES[objective].terms(candidate.coordinate) for candidate in whole]
    for name, term in OBJECTIVES[objective].terms(composed.coordinate).items():
        highest = max(range(6), key=lambda draw: np.nan_to_num(terms[draw][name]))
        assert composed.seed[name] == whole[highest].seed
        assert np.array_equal(composed.masks[name], whole[highest].masks[name])
        assert term == pytest.approx(terms[highest][name], nan_ok=True)
    assert {n: m.sum() for n, m in composed.masks.items()} == {n: m.sum() for n, m in whole[0].masks.items()}
    # The same layers are defined in all draws here, so that a mean cannot lose either.
    assert composed.score >= max(candidate.score for candidate in whole)


@pytest.mark.parametrize("objective", ["l2", "layer_density"])
def test_as_the_authors_ran_it_a_layer_is_exchanged_where_neither_imdb_nor_the_norm_falls(workbench_of, objective):
    bench = workbench_of(study(PER_LAYER, "variant=authors", f"objective={objective}", "search.samples_per_trial=8"))
    *whole, composed = bench.candidates(DISTRIBUTIONS[1], 11)
    exchanged = refused = 0
    for name in bench.shapes:
        best = None
        for candidate in whole:
            layer = candidate.coordinate.in_variant("authors").layers[name]
            found = np.nan_to_num([layer.imdb, np.linalg.norm(np.nan_to_num(layer.vector))])
            if best is None or ((found >= best).all() and (found > best).any()):
                exchanged += best is not None
                best, seed = found, candidate.seed
            else:
                refused += bool((found > best).any())
        assert composed.seed[name] == seed
    # One of both grows alone, now and then.
    assert exchanged > 0 and refused > 0
    assert {n: m.sum() for n, m in composed.masks.items()} == bench.counts(DISTRIBUTIONS[1])


def test_whole_draws_are_the_same_with_and_without_a_composed_candidate(workbench, workbench_of):
    per_layer = list(workbench_of(study(PER_LAYER)).candidates(DISTRIBUTIONS[0], 11))
    assert [c.digest for c in per_layer[:-1]] == [c.digest for c in workbench.candidates(DISTRIBUTIONS[0], 11)]


@pytest.mark.parametrize(
    ("distribution", "overrides"),
    [
        # All draws alike; one draw; one score, so that the first draw is the best in every layer.
        (DISTRIBUTIONS[3], ()),
        (DISTRIBUTIONS[0], ("search.samples_per_trial=1",)),
        (DISTRIBUTIONS[0], ("objective=layer_density",)),
        (DISTRIBUTIONS[0], ("objective=log_density",)),
    ],
)
def test_what_would_be_composed_of_one_draw_alone_is_no_candidate_of_its_own(workbench_of, distribution, overrides):
    candidates = list(workbench_of(study(PER_LAYER, *overrides)).candidates(distribution, 11))
    assert all(isinstance(candidate.seed, int) for candidate in candidates)


def test_a_rejected_draw_gives_no_layer(workbench_of, monkeypatch):
    bench = workbench_of(study(PER_LAYER))
    cut = bench.draw(DISTRIBUTIONS[0], bench.counts(DISTRIBUTIONS[0]), derive(11, "candidate", 0))
    check = bench.connectivity
    monkeypatch.setattr(
        bench, "connectivity", lambda masks: Connectivity(1.0, (), ()) if masks == cut else check(masks)
    )
    first, *_, composed = bench.candidates(DISTRIBUTIONS[0], 11)
    assert first.score is None
    assert first.seed not in set(composed.seed.values())


def test_candidates_that_are_scored_together_are_those_scored_one_by_one(workbench_of, monkeypatch):
    rows = []
    for together in (2**24, 1):
        monkeypatch.setattr(candidates_module, "TOGETHER", together)
        rows.append([candidate.row() for candidate in workbench_of(study()).candidates(DISTRIBUTIONS[0], 11)])
    assert rows[0] == rows[1]


def test_a_mask_file_tells_the_draw_of_each_layer(workbench_of, tmp_path):
    bench, distribution = workbench_of(study(PER_LAYER)), DISTRIBUTIONS[0]
    *_, composed = bench.candidates(distribution, 11)
    metadata = bench.metadata(distribution, composed.seed)
    MaskSet(composed.masks, metadata).save(tmp_path / "mask.safetensors")
    loaded = MaskSet.load(tmp_path / "mask.safetensors")
    assert bench.draw(distribution, bench.counts(distribution), json.loads(loaded.metadata["seed"])) == loaded


def test_a_mask_file_says_where_its_mask_comes_from(workbench, tmp_path):
    distribution = DISTRIBUTIONS[0]
    metadata = workbench.metadata(distribution, 5)
    assert metadata == {
        "model": "digits_cnn",
        "data": "digits",
        "input": "[1, 8, 8]",
        "classes": "10",
        "init_seed": "0",
        "init_digest": workbench.init_digest,
        "allocation": "erk",
        "images_per_class": "10",
        "keep_dense": "[]",
        "source": "random",
        "temperature": "inf",
        "batch_seed": "0",
        "theta": '{"conv2": 0.4, "fc1": -0.3}',
        "variant": "paper",
        "seed": "5",
    }
    masks = workbench.draw(distribution, workbench.counts(distribution), 5)
    MaskSet(masks, metadata).save(tmp_path / "mask.safetensors")
    loaded = MaskSet.load(tmp_path / "mask.safetensors")
    assert loaded == masks
    assert metadata.items() <= loaded.metadata.items()


def candidate(score: float | None, seed: int = 0) -> Candidate:
    masks = MaskSet({"fc.weight": np.ones((2, 2))})
    return Candidate(seed, masks, masks.digest(), Connectivity(0.0, (), ()), None, score)


def test_the_higher_score_goes_on():
    low, high = candidate(1.0), candidate(2.0)
    assert better(low, high) is high
    assert better(high, low) is high
    assert better(None, low) is low


def test_the_first_of_equals_goes_on():
    first, second = candidate(1.0, 1), candidate(1.0, 2)
    assert better(first, second) is first


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_a_candidate_without_a_finite_score_never_goes_on(score):
    good = candidate(-5.0)
    assert better(good, candidate(score)) is good
    assert better(None, candidate(score)) is None


def test_a_network_in_bfloat16_is_scored_as_its_values_are(digits):
    settings = study("sparsity=0.9")
    half = build("digits_cnn", digits.task, 0).bfloat16()
    benches = [Workbench(settings, network, digits) for network in (half, copy.deepcopy(half).float())]
    rows = [next(bench.candidates(DISTRIBUTIONS[1], 11)).row() for bench in benches]
    assert rows[0] == rows[1]


def test_an_embedding_keeps_a_weight_for_each_output_and_not_for_each_row(digits):
    network = nn.Sequential(OrderedDict(rows=nn.Embedding(40, 4), up=nn.ConvTranspose2d(8, 6, 1, groups=2)))
    # 160 and 24 weights; 4 and 6 outputs.
    bench = Workbench(study("sparsity=0.945652"), network, digits)
    assert bench.counts(MaskDistribution("random", math.inf, 0, {})) == {"rows.weight": 4, "up.weight": 6}


def test_a_source_that_scores_every_weight_zero_is_refused(digits):
    network = build("digits_cnn", digits.task, 0)
    torch.nn.init.zeros_(network.fc2.weight)
    # As the heads of vision transformers are: no gradient passes, and the head's own is multiplied by zero.
    bench = Workbench(study("search.sources=['snip']"), network, digits)
    with pytest.raises(InputError, match="source snip scores every weight 0, so that nothing tells them apart"):
        bench.scores(MaskDistribution("snip", 0.0, 0, {}))
