"""Distances from the three references, by hand."""

import os
import subprocess
import sys
from math import hypot, sqrt

import numpy as np
import pytest
from fullspectrum.spectral import full_spectrum
from fullspectrum.spectral.coordinate import AGGREGATES, REFERENCES

#: Complete graphs with unit weights: x = (2·sqrt(n - 1), the same, n, n) for n nodes on each side.
COMPLETE = {"four": np.ones((4, 4), dtype=bool), "five": np.ones((5, 5), dtype=bool)}
FOUR = np.array([2 * sqrt(3), 2 * sqrt(3), 4.0, 4.0])
FIVE = np.array([4.0, 4.0, 5.0, 5.0])
STAR = {"star": np.ones((1, 6), dtype=bool)}


def _ones(masks: dict) -> dict:
    return {name: np.ones(mask.shape) for name, mask in masks.items()}


def _random_layer(sparsity: float, shape: tuple[int, int] = (40, 90)) -> tuple[dict, dict]:
    generator = np.random.default_rng(0)
    return {"layer": generator.random(shape) >= sparsity}, {"layer": generator.standard_normal(shape)}


def test_choices_are_public():
    assert REFERENCES == ("origin", "random", "dense", "start")
    assert AGGREGATES == ("sum", "mean_vector")


def test_sum_adds_the_norms_of_the_layers():
    coordinate = full_spectrum(COMPLETE, _ones(COMPLETE))
    expected = np.linalg.norm(FOUR) + np.linalg.norm(FIVE)
    assert coordinate.l2_distance() == pytest.approx(expected, rel=1e-12)
    assert coordinate.l2_distance("origin", "sum") == coordinate.l2_distance()


def test_mean_vector_is_the_norm_of_the_mean():
    coordinate = full_spectrum(COMPLETE, _ones(COMPLETE))
    expected = np.linalg.norm((FOUR + FIVE) / 2)
    assert coordinate.l2_distance(aggregate="mean_vector") == pytest.approx(expected, rel=1e-12)


def test_undefined_layer_adds_nothing_but_counts_in_the_mean_vector():
    masks = COMPLETE | STAR
    coordinate = full_spectrum(masks, _ones(masks))
    assert coordinate.l2_distance() == pytest.approx(np.linalg.norm(FOUR) + np.linalg.norm(FIVE), rel=1e-12)
    expected = np.linalg.norm((FOUR + FIVE) / 3)
    assert coordinate.l2_distance(aggregate="mean_vector") == pytest.approx(expected, rel=1e-12)


def test_undefined_components_add_nothing():
    # Without weights two components are left: (2·sqrt(3), 2·sqrt(3)) and (4, 4).
    expected = hypot(2 * sqrt(3), 2 * sqrt(3)) + hypot(4, 4)
    assert full_spectrum(COMPLETE, None).l2_distance() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reference", ["random", "dense"])
@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_unpruned_network_is_at_distance_zero_from_random_and_dense(reference, aggregate):
    masks = COMPLETE | STAR
    assert full_spectrum(masks, _ones(masks)).l2_distance(reference, aggregate) == 0.0


def test_dense_reference_is_the_unpruned_coordinate():
    mask = np.ones((5, 5), dtype=bool)
    mask[0, 0] = False
    coordinate = full_spectrum({"layer": mask}, {"layer": np.ones((5, 5))})
    expected = np.linalg.norm(coordinate.layers["layer"].vector - FIVE)
    assert coordinate.l2_distance("dense") == pytest.approx(expected, rel=1e-12)


def test_component_undefined_in_the_mask_adds_nothing_against_a_defined_reference():
    masks = {"five": np.zeros((5, 5), dtype=bool)}
    assert full_spectrum(masks, _ones(masks)).l2_distance("dense") == 0.0
    masks["five"][:2, :2] = True  # only the weighted gap, 2, is defined; that of the dense layer is 5
    assert full_spectrum(masks, _ones(masks)).l2_distance("dense") == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_random_reference_of_one_removed_weight_is_the_mask_itself(weighted):
    # Every mask that removes one weight of equal ones is the same graph but for the order of its nodes.
    masks = {"layer": np.ones((6, 7), dtype=bool)}
    masks["layer"][2, 3] = False
    assert full_spectrum(masks, _ones(masks) if weighted else None).l2_distance("random") < 1e-12


def test_random_reference_is_close_to_a_random_mask_and_far_from_blocks():
    masks, weights = _random_layer(0.8)
    near = full_spectrum(masks, weights).l2_distance("random")
    blocks = {"layer": np.kron(np.eye(5, dtype=bool), np.ones((8, 18), dtype=bool))}  # sparsity 0.8 as well
    assert near < full_spectrum(blocks, weights).l2_distance("random") / 3


def test_random_reference_depends_on_counts_and_name_but_not_on_the_mask():
    masks, weights = _random_layer(0.8)
    shuffled = {"layer": np.random.default_rng(5).permuted(masks["layer"].ravel()).reshape(40, 90)}
    renamed = [{"other": table["layer"]} for table in (masks, weights)]
    points = []
    for pair in ((masks, weights), (shuffled, weights), renamed):
        coordinate = full_spectrum(*pair)
        points.append(coordinate._references.point("random", "paper").tolist())
    assert points[0] == points[1] != points[2]


def test_random_reference_is_the_same_in_every_process():
    code = (
        "import numpy as np; from fullspectrum.spectral import full_spectrum;"
        "masks = {'layer': np.random.default_rng(0).random((40, 90)) >= 0.8};"
        "print(full_spectrum(masks, None).l2_distance('random').hex())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize("reference", ["random", "dense"])
def test_training_the_weights_after_scoring_does_not_move_the_reference(reference):
    masks, weights = _random_layer(0.8)
    expected = full_spectrum(masks, weights).l2_distance(reference)
    coordinate = full_spectrum(masks, weights)
    weights["layer"] *= 3
    assert coordinate.l2_distance(reference) == expected


def test_references_are_computed_once():
    coordinate = full_spectrum(*_random_layer(0.8))
    coordinate.l2_distance("random")
    first = coordinate._references.point("random", "paper")
    coordinate.l2_distance("random", "mean_vector")
    assert coordinate._references.point("random", "paper") is first


def test_unknown_reference_and_aggregate_name_the_choices():
    coordinate = full_spectrum(COMPLETE, None)
    with pytest.raises(ValueError, match="reference must be one of origin, random, dense, start, but got 'zero'"):
        coordinate.l2_distance("zero")
    with pytest.raises(ValueError, match="aggregate must be one of sum, mean_vector, but got 'max'"):
        coordinate.l2_distance(aggregate="max")


def test_the_start_is_the_same_mask_on_the_weights_that_training_started_from():
    masks, weights = _random_layer(0.8)
    start = {"layer": weights["layer"] + np.random.default_rng(1).standard_normal(weights["layer"].shape)}
    moved, before = full_spectrum(masks, weights, start=start), full_spectrum(masks, start)
    offset = moved.layers["layer"].vector - before.layers["layer"].vector
    # The mask is the same, so that its own half of the coordinate is.
    assert offset[:2].tolist() == [0.0, 0.0] and np.all(offset[2:] != 0)
    for aggregate in AGGREGATES:
        assert moved.l2_distance("start", aggregate) == pytest.approx(np.linalg.norm(offset), rel=1e-12)
    assert full_spectrum(masks, start, start=start).l2_distance("start") == 0.0
    authors = full_spectrum(masks, start, variant="authors").layers["layer"].vector
    expected = np.linalg.norm(moved.in_variant("authors").layers["layer"].vector - authors)
    assert moved.l2_distance("start", variant="authors") == pytest.approx(expected, rel=1e-12)


def test_chance_from_the_start_moves_with_the_weights_as_the_mask_does():
    masks, weights = _random_layer(0.8)
    doubled = full_spectrum(masks, {"layer": 2 * weights["layer"]}, start=weights)
    # Twice the weights have twice the gaps: each random mask has moved by its own λ and λ_imsg at the start.
    found, own = doubled.distance_chance("start"), full_spectrum(masks, weights).chance()["layer"]
    layer = full_spectrum(masks, weights).layers["layer"]
    assert found.value == pytest.approx(hypot(layer.weighted_gap, layer.imsg), rel=1e-7)
    assert found.mean == pytest.approx(hypot(own["weighted_gap"].mean, own["imsg"].mean), rel=0.01)


def test_changing_masks_and_weights_after_scoring_does_not_move_the_start():
    masks, weights = _random_layer(0.8)
    start = {"layer": weights["layer"] * 3}
    expected = full_spectrum(masks, weights, start=start).l2_distance("start")
    coordinate = full_spectrum(masks, weights, start=start)
    masks["layer"][:] = True
    start["layer"] *= 2
    assert coordinate.l2_distance("start") == expected > 0


def test_the_start_without_its_weights_is_refused_with_the_way_out():
    coordinate = full_spectrum(COMPLETE, _ones(COMPLETE))
    for ask in (coordinate.l2_distance, coordinate.distance_chance):
        with pytest.raises(ValueError, match='"start" needs the weights that training started from, but none were'):
            ask("start")
    with pytest.raises(ValueError, match="five has no weights"):
        full_spectrum(COMPLETE, _ones(COMPLETE), start={"four": np.ones((4, 4))})
