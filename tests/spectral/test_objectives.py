"""Objectives: a term for each layer and a value for the network, from closed forms."""

import inspect
import math

import numpy as np
import pytest
from fullspectrum.spectral.coordinate import FIELDS, full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES, Distance, Objective
from fullspectrum.spectral.testing import ScoreContract
from fullspectrum.spectral.testing.score import mixed_coordinate, undefined_coordinate

#: A complete graph K(4, 5), on which every gap is defined, and a perfect matching, whose degrees are too small for Δr.
MASKS = {"complete.weight": np.ones((4, 5)), "matching.weight": np.eye(6)}
COORDINATE = full_spectrum(MASKS, {name: np.ones(mask.shape) for name, mask in MASKS.items()})
#: Δr = √(4 − 1) + √(5 − 1) − 0 and λ = √20 − 0 of K(4, 5); a matching has λ = 1 − 1.
GAP, WEIGHTED = 3**0.5 + 2, 20**0.5

CLOSED_FORMS = {
    "l2": ([(2 * GAP**2 + 2 * WEIGHTED**2) ** 0.5, 0.0], (2 * GAP**2 + 2 * WEIGHTED**2) ** 0.5),
    "imdb": ([GAP, math.nan], GAP),
    "ramanujan_gap": ([GAP, math.nan], GAP),
    "weighted_gap": ([WEIGHTED, 0.0], WEIGHTED / 2),
    "imsg": ([WEIGHTED, math.nan], WEIGHTED),
    "layer_density": ([1.0, 1 / 6], 7 / 12),
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


def test_what_no_layer_defines_is_nan_but_the_distance_and_the_density_always_have_a_value():
    sparse = full_spectrum({"a.weight": np.eye(6), "b.weight": np.eye(4)}, None)
    values = {name: objective.value(sparse) for name, objective in OBJECTIVES.items()}
    assert {name for name, value in values.items() if math.isnan(value)} == set(FIELDS)
    assert (values["l2"], values["layer_density"]) == (0.0, pytest.approx((1 / 6 + 1 / 4) / 2))


def test_density_is_averaged_over_layers_and_not_over_weights():
    masks = {"small.weight": np.ones((2, 2)), "large.weight": np.zeros((10, 10))}
    masks["large.weight"][0, 0] = 1
    assert OBJECTIVES["layer_density"].value(full_spectrum(masks, None)) == pytest.approx((1 + 0.01) / 2)


def test_every_objective_has_a_name_of_its_own_for_tables():
    assert len({objective.label for objective in OBJECTIVES.values()}) == len(OBJECTIVES)


class TestEveryScore(ScoreContract):
    @pytest.fixture(params=[*OBJECTIVES.values(), Distance("random"), Distance("dense", "mean_vector")], ids=str)
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
