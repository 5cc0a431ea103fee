"""The contract of a score: the promises of `Objective`, as tests to inherit."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from ..coordinate import FIELDS, Coordinate, full_spectrum
from ..objectives import Objective
from ..variants import VARIANTS

#: By how much a component is moved, to see its term follow.
STEP = 1e-6

#: The most by which a difference quotient may miss the derivative: a term of curvature c misses it by c · STEP / 2, and
#: by its own rounding over STEP, 1e-16 · 100 / 1e-6 for a term of 100.
SLOPE_ERROR = 1e-4


def mixed_coordinate() -> Coordinate:
    """Return the coordinate of a random layer, of a perfect matching, and of a layer without a kept weight.

    The first defines all components, the second λ alone, as its degrees are too small for a Ramanujan bound, and the
    third none.
    """
    generator = np.random.default_rng(0)
    masks = {
        "conv.weight": generator.random((9, 10, 3, 1)) < 0.5,
        "matching.weight": np.eye(6, dtype=bool),
        "empty.weight": np.zeros((4, 5), dtype=bool),
    }
    coordinate = full_spectrum(masks, {name: generator.standard_normal(mask.shape) for name, mask in masks.items()})
    coordinate.channels = {"conv.weight": (18, 19), "matching.weight": (12, 12), "empty.weight": (0, 9)}
    return coordinate


def undefined_coordinate() -> Coordinate:
    """Return the coordinate, without weights, of a perfect matching and of a layer without a kept weight."""
    return full_spectrum({"matching.weight": np.eye(6), "empty.weight": np.zeros((4, 5))}, None)


class ScoreContract:
    """Tests that every score passes.

    Inherit them, and give the score by a fixture of its name:

        class TestMine(ScoreContract):
            @pytest.fixture
            def score(self):
                return Mine()

    That higher is better is part of the contract too, and up to the author: no test can know it.
    """

    @pytest.fixture
    def score(self) -> Objective:
        """Return the score under test; a fixture of the same name takes its place."""
        raise NotImplementedError(f"{type(self).__name__} must have a fixture that returns the score under test")

    @pytest.fixture
    def coordinate(self) -> Coordinate:
        """Return a coordinate whose layers define all, some and none of the components."""
        return mixed_coordinate()

    @pytest.fixture
    def undefined(self) -> Coordinate:
        """Return a coordinate whose layers define no component."""
        return undefined_coordinate()

    def test_there_is_a_term_for_each_layer_in_their_order(self, score: Objective, coordinate: Coordinate) -> None:
        terms = score.terms(coordinate)
        assert list(terms) == list(coordinate.layers)
        assert all(isinstance(term, float) for term in terms.values())

    def test_a_term_is_finite_or_nan(self, score: Objective, coordinate: Coordinate, undefined: Coordinate) -> None:
        for given in (coordinate, undefined):
            assert not any(math.isinf(term) for term in score.terms(given).values())

    def test_the_value_is_finite_where_a_layer_defines_it_and_otherwise_nan(
        self, score: Objective, coordinate: Coordinate, undefined: Coordinate
    ) -> None:
        for given in (coordinate, undefined):
            value = score.value(given)
            assert isinstance(value, float)
            defined = any(not math.isnan(term) for term in score.terms(given).values())
            assert math.isfinite(value) if defined else math.isnan(value)

    def test_a_gradient_has_four_finite_numbers_for_each_layer(
        self, score: Objective, coordinate: Coordinate, undefined: Coordinate
    ) -> None:
        for given in (coordinate, undefined):
            gradients = score.gradients(given)
            assert list(gradients) == list(given.layers)
            for gradient in gradients.values():
                assert gradient.shape == (len(FIELDS),)
                assert gradient.dtype == np.float64
                assert np.isfinite(gradient).all()

    def test_a_gradient_is_0_where_the_component_or_the_term_is_undefined(
        self, score: Objective, coordinate: Coordinate, undefined: Coordinate
    ) -> None:
        for given in (coordinate, undefined):
            terms = score.terms(given)
            layers = given.in_variant(score.variant).layers
            for name, gradient in score.gradients(given).items():
                without = np.isnan(layers[name].vector) | math.isnan(terms[name])
                assert not gradient[without].any()

    def test_a_gradient_is_the_derivative_of_the_term(self, score: Objective, coordinate: Coordinate) -> None:
        terms, gradients = score.terms(coordinate), score.gradients(coordinate)
        for axis, field in enumerate(FIELDS):
            for name, term in score.terms(_moved(coordinate, field)).items():
                if not math.isnan(term):
                    assert gradients[name][axis] == pytest.approx((term - terms[name]) / STEP, abs=SLOPE_ERROR)

    def test_the_score_depends_on_the_coordinate_alone_and_leaves_it_as_it_was(
        self, score: Objective, coordinate: Coordinate
    ) -> None:
        before = coordinate.to_dict()
        first = score.value(coordinate), score.terms(coordinate)
        assert repr((score.value(coordinate), score.terms(coordinate))) == repr(first)
        assert coordinate.to_dict() == before

    def test_a_copy_in_another_process_scores_the_same(self, score: Objective, coordinate: Coordinate) -> None:
        copy = pickle.loads(pickle.dumps(score))
        assert copy.value(coordinate) == pytest.approx(score.value(coordinate), nan_ok=True)

    def test_the_label_is_one_line(self, score: Objective) -> None:
        assert score.label.strip() == score.label != ""
        assert len(score.label.splitlines()) == 1


def _moved(coordinate: Coordinate, field: str) -> Coordinate:
    """Return the coordinate with one component of every layer larger by `STEP`, in each variant; references stay."""
    copy: Coordinate = pickle.loads(pickle.dumps(coordinate))
    for variant in VARIANTS:
        layers = copy.in_variant(variant).layers
        layers |= {name: replace(one, **{field: getattr(one, field) + STEP}) for name, one in layers.items()}
    return copy
