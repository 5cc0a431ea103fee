"""Objectives: a term for each layer and a value for the network, from closed forms."""

import inspect
import math

import numpy as np
import pytest
from fullspectrum.spectral import SpectralCache
from fullspectrum.spectral.coordinate import FIELDS, full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES, Distance, Objective
from fullspectrum.spectral.testing import ScoreContract
from fullspectrum.spectral.testing.score import mixed_coordinate, undefined_coordinate

#: A complete graph K(4, 5), on which every gap is defined, and a perfect matching, whose degrees are too small for Δr.
MASKS = {"complete.weight": np.ones((4, 5)), "matching.weight": np.eye(6)}
COORDINATE = full_spectrum(MASKS, {name: np.ones(mask.shape) for name, mask in MASKS.items()})
#: 9 and 12 inputs and outputs, of which 3 and 1 lie on no path.
COORDINATE.channels = {"complete.weight": (6, 9), "matching.weight": (11, 12)}
#: Δr = √(4 − 1) + √(5 − 1) − 0 and λ = √20 − 0 of K(4, 5); a matching has λ = 1 − 1.
GAP, WEIGHTED = 3**0.5 + 2, 20**0.5

DISTANCE = (2 * GAP**2 + 2 * WEIGHTED**2) ** 0.5
#: As the authors ran it the iterative means are 5 / (5 + 4 − 1) of the gaps.
AUTHORS = ((1 + 25 / 64) * (GAP**2 + WEIGHTED**2)) ** 0.5

CLOSED_FORMS = {
    "l2": ([DISTANCE, 0.0], DISTANCE),
    "l2_authors": ([AUTHORS, 0.0], AUTHORS),
    "imdb": ([GAP, math.nan], GAP),
    "ramanujan_gap": ([GAP, math.nan], GAP),
    "weighted_gap": ([WEIGHTED, 0.0], WEIGHTED / 2),
    "imsg": ([WEIGHTED, math.nan], WEIGHTED),
    "layer_density": ([1.0, 1 / 6], 7 / 12),
    "log_density": ([0.0, -math.log(6)], -math.log(6) / 2),
    "live_channels": ([6 / 9, 11 / 12], 17 / 21),
    "kept_magnitude": ([20 / 56, 6 / 56], 26 / 56),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_terms_and_values_are_those_of_the_closed_forms(name):
    terms, value = CLOSED_FORMS[name]
    assert list(OBJECTIVES[name].terms(COORDINATE)) == list(MASKS)
    assert list(OBJECTIVES[name].terms(COORDINATE).values()) == pytest.approx(terms, abs=1e-6, nan_ok=True)
    assert OBJECTIVES[name].value(COORDINATE) == pytest.approx(value, abs=1e-6)


def test_values_are_the_coordinates_own_to_the_bit():
    for field in FIELDS:
        assert OBJECTIVES[field].value(COORDINATE) == COORDINATE.mean(field)
    for reference, aggregate in (("origin", "sum"), ("dense", "sum"), ("origin", "mean_vector")):
        assert Distance(reference, aggregate).value(COORDINATE) == COORDINATE.l2_distance(reference, aggregate)
    assert OBJECTIVES["l2"] == Distance("origin", "sum")


@pytest.mark.parametrize("reference", ["origin", "dense", "random"])
def test_the_distance_is_the_sum_of_its_terms(reference):
    distance = Distance(reference)
    assert distance.value(COORDINATE) == pytest.approx(sum(distance.terms(COORDINATE).values()), rel=1e-12)


def test_what_no_layer_defines_is_nan_but_distances_and_densities_always_have_a_value():
    sparse = full_spectrum({"a.weight": np.eye(6), "b.weight": np.eye(4)}, None)
    values = {name: objective.value(sparse) for name, objective in OBJECTIVES.items()}
    # There are no weights, and nobody has counted channels.
    assert {name for name, value in values.items() if math.isnan(value)} == {
        *FIELDS,
        "kept_magnitude",
        "live_channels",
    }
    assert (values["l2"], values["l2_authors"]) == (0.0, 0.0)
    assert values["layer_density"] == pytest.approx((1 / 6 + 1 / 4) / 2)
    assert values["log_density"] == pytest.approx(-math.log(6 * 4) / 2)


def test_log_density_leaves_out_a_layer_of_which_nothing_is_kept():
    masks = {"half.weight": np.ones((4, 4)), "empty.weight": np.zeros((4, 4))}
    masks["half.weight"][:2] = 0
    objective, coordinate = OBJECTIVES["log_density"], full_spectrum(masks, None)
    assert list(objective.terms(coordinate).values()) == [
        pytest.approx(math.log(0.5)),
        pytest.approx(math.nan, nan_ok=True),
    ]
    assert objective.value(coordinate) == pytest.approx(math.log(0.5))


def test_kept_magnitude_is_of_all_layers_together_and_sees_signs_scales_and_empty_layers():
    generator = np.random.default_rng(0)
    masks = {"a.weight": generator.random((6, 5)) < 0.4, "b.weight": generator.random((7, 3, 2)) < 0.7}
    masks["empty.weight"] = np.zeros((3, 4), dtype=bool)
    weights = {name: generator.standard_normal(mask.shape).astype(np.float32) for name, mask in masks.items()}
    whole = sum(np.abs(values.astype(float)).sum() for values in weights.values())
    kept = sum(np.abs(values.astype(float))[masks[name]].sum() for name, values in weights.items())
    score = OBJECTIVES["kept_magnitude"]
    found = full_spectrum(masks, weights)
    assert score.value(found) == pytest.approx(kept / whole, rel=1e-12)
    assert score.terms(found)["empty.weight"] == 0.0
    scaled = full_spectrum(masks, {name: -1e-3 * values for name, values in weights.items()})
    assert score.value(scaled) == pytest.approx(kept / whole, rel=1e-6)
    dense = {name: np.ones(mask.shape) for name, mask in masks.items()}
    assert score.value(full_spectrum(dense, weights)) == pytest.approx(1.0, rel=1e-12)
    zeros = full_spectrum(masks, {name: 0 * values for name, values in weights.items()})
    assert math.isnan(score.value(zeros)) and all(map(math.isnan, score.terms(zeros).values()))


def test_all_weights_count_whatever_their_type_and_whether_or_not_the_cache_knows_them():
    mask, cache = np.eye(300, 400, dtype=bool), SpectralCache()
    weights = np.random.default_rng(0).integers(-128, 128, mask.shape).astype(np.int8)
    expected = np.trace(np.abs(weights.astype(int))) / np.abs(weights.astype(int)).sum()
    for values in (weights, weights.astype(np.float16), weights.astype(np.float64)):
        for read_only in (False, True):
            values.flags.writeable = not read_only
            for _ in range(2):
                found = full_spectrum({"a": mask}, {"a": values}, cache=cache)
                assert OBJECTIVES["kept_magnitude"].value(found) == pytest.approx(expected, rel=1e-12)
    # An array that may be written to is summed up each time.
    values.flags.writeable = True
    values[0, 1] += 1000
    changed = OBJECTIVES["kept_magnitude"].value(full_spectrum({"a": mask}, {"a": values}, cache=cache))
    assert changed != pytest.approx(expected, rel=1e-6)


def test_density_is_averaged_over_layers_and_not_over_weights():
    masks = {"small.weight": np.ones((2, 2)), "large.weight": np.zeros((10, 10))}
    masks["large.weight"][0, 0] = 1
    assert OBJECTIVES["layer_density"].value(full_spectrum(masks, None)) == pytest.approx((1 + 0.01) / 2)


def test_every_objective_has_a_name_of_its_own_for_tables():
    assert len({objective.label for objective in OBJECTIVES.values()}) == len(OBJECTIVES)


class TestEveryScore(ScoreContract):
    @pytest.fixture(
        params=[*OBJECTIVES.values(), Distance("random"), Distance("dense", "mean_vector", "authors")], ids=str
    )
    def score(self, request):
        return request.param


class WorstGap(Objective):
    """A score of a stranger's: the Δr of the layer where it is smallest."""

    label = "worst Ramanujan gap"

    def terms(self, coordinate):
        return {name: layer.ramanujan_gap for name, layer in coordinate.layers.items()}

    def gradients(self, coordinate):
        return {
            name: np.array([0.0 if math.isnan(term) else 1.0, 0, 0, 0]) for name, term in self.terms(coordinate).items()
        }

    def value(self, coordinate):
        return min((term for term in self.terms(coordinate).values() if not math.isnan(term)), default=math.nan)


class TestScoreOfOnesOwn(ScoreContract):
    @pytest.fixture
    def score(self):
        return WorstGap()


#: What is wrong with a score, and a part of the name of the test that says so.
BROKEN = {
    "infinite where nothing is defined": ({"value": lambda self, given: math.inf}, "value_is_finite"),
    "a gradient of another shape": (
        {"gradients": lambda self, given: {name: np.zeros(3) for name in given.layers}},
        "four_finite_numbers",
    ),
    "a gradient that is not the derivative": (
        {"gradients": lambda self, given: {name: np.zeros(4) for name in given.layers}},
        "is_the_derivative",
    ),
    "a layer is left out": ({"terms": lambda self, given: {"conv.weight": 1.0}}, "a_term_for_each_layer"),
    "no label": ({"label": ""}, "label_is_one_line"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_contract_refuses(fault):
    changes, name = BROKEN[fault]
    suite, given = ScoreContract(), {"score": type("Broken", (WorstGap,), changes)()}
    given |= {"coordinate": mixed_coordinate(), "undefined": undefined_coordinate()}
    (test,) = [getattr(suite, test) for test in dir(suite) if test.startswith("test_") and name in test]
    with pytest.raises(AssertionError):
        test(**{name: given[name] for name in inspect.signature(test).parameters})
