"""A coordinate beside chance: z-scores, and their simulation."""

from math import isnan, nan

import numpy as np
import pytest
from fullspectrum.spectral import SpectralCache, full_spectrum
from fullspectrum.spectral import chance as chance_module
from fullspectrum.spectral.chance import DRAWS, ZScore, chance
from fullspectrum.spectral.coordinate import FIELDS
from fullspectrum.spectral.masked import Layer

SHAPE = (24, 200)

#: Simulations that tests have in common.
CACHE = SpectralCache()


def _random_mask(seed: int, kept: int = 1500, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    mask = np.zeros(int(np.prod(shape)), dtype=bool)
    mask[np.random.default_rng(seed).permutation(mask.size)[:kept]] = True
    return mask.reshape(shape)


def _weights(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(99).standard_normal(shape)


def test_z_score_is_in_standard_deviations_of_a_sample():
    z_score = ZScore.among(7.0, np.array([1.0, 2.0, 3.0, nan]))
    assert (z_score.mean, z_score.std, z_score.z) == (2.0, 1.0, 5.0)


@pytest.mark.parametrize("chances", [[], [nan, nan], [4.0], [4.0, 4.0], [4.0, 4.0 * (1 + 1e-12)]])
def test_z_score_is_undefined_without_a_spread(chances):
    assert isnan(ZScore.among(7.0, np.array(chances)).z)


def test_simulation_is_the_coordinates_of_masks_with_the_same_count():
    layer = Layer("layer", SHAPE, _weights())
    vectors = chance([layer], [1500])
    assert vectors.shape == (DRAWS, 1, len(FIELDS))
    assert len({tuple(vector) for vector in vectors[:, 0]}) == DRAWS
    # The mean degrees, and so the bound, follow from the count as long as no node is isolated: sigma2 is what varies.
    bound = np.sqrt(1500 / 200 - 1) + np.sqrt(1500 / 24 - 1)
    assert np.all((vectors[:, 0, 0] < bound) & (vectors[:, 0, 0] > bound - 12))


def test_random_masks_stand_where_chance_has_them():
    # z of a random mask against 16 others is distributed as sqrt(1 + 1/16) times Student's t with 15 degrees of
    # freedom: mean 0, standard deviation 1.11. Of 60 masks the mean lies within 4 · 1.11 / sqrt(60) = 0.57 of 0.
    # All masks are held against the same 16, whose own mean adds 4 / sqrt(16) = 1.
    weights = _weights()
    scores = []
    for seed in range(60):
        z_scores = full_spectrum({"layer": _random_mask(seed)}, {"layer": weights}, cache=CACHE).chance()["layer"]
        scores.append([z_scores[field].z for field in FIELDS])
    assert np.all(np.abs(np.mean(scores, axis=0)) < 1.57)
    assert np.all((np.std(scores, axis=0) > 0.5) & (np.std(scores, axis=0) < 2.2))


def test_a_block_structure_is_far_worse_connected_than_chance_and_a_plane_far_better():
    blocks = np.kron(np.eye(4, dtype=bool), np.ones((6, 50), dtype=bool))
    assert full_spectrum({"layer": blocks}, None).chance()["layer"]["ramanujan_gap"].z < -5
    # The points and lines of the projective plane of order 7, from a perfect difference set modulo 57.
    plane = np.zeros((57, 57), dtype=bool)
    for shift in (1, 6, 7, 9, 19, 38, 42, 49):
        plane[np.arange(57), (np.arange(57) + shift) % 57] = True
    coordinate = full_spectrum({"layer": plane}, None)
    assert coordinate.layers["layer"].sigma2 == pytest.approx(np.sqrt(7), rel=1e-9)
    assert coordinate.chance()["layer"]["ramanujan_gap"].z > 5


def test_unpruned_and_empty_layers_have_no_z():
    masks = {"dense": np.ones(SHAPE, dtype=bool), "empty": np.zeros(SHAPE, dtype=bool)}
    z_scores = full_spectrum(masks, dict.fromkeys(masks, _weights())).chance()
    assert all(isnan(z_score.z) for layer in z_scores.values() for z_score in layer.values())
    assert z_scores["dense"]["ramanujan_gap"].mean == z_scores["dense"]["ramanujan_gap"].value


def test_grouped_layers_are_held_against_grouped_masks():
    mask, weights = _random_mask(1, 200, (24, 5, 3, 3)), _weights((24, 5, 3, 3))
    grouped = full_spectrum({"layer": mask}, {"layer": weights}, groups={"layer": 4}).chance()["layer"]
    plain = full_spectrum({"layer": mask}, {"layer": weights}).chance()["layer"]
    assert abs(grouped["weighted_gap"].z) < 5
    assert grouped["weighted_gap"].mean < plain["weighted_gap"].mean / 2  # two blocks of about the same first value


@pytest.mark.parametrize(("reference", "aggregate"), [("origin", "sum"), ("origin", "mean_vector"), ("random", "sum")])
def test_distance_stands_among_the_distances_of_random_masks(reference, aggregate):
    names = ("one", "two")
    masks = {name: _random_mask(seed) for seed, name in enumerate(names)}
    weights = dict.fromkeys(names, _weights())
    z_score = full_spectrum(masks, weights).distance_chance(reference, aggregate)
    assert z_score.value == full_spectrum(masks, weights).l2_distance(reference, aggregate)
    assert abs(z_score.z) < 5
    # The masks that chance is made of, scored by hand as mask sets.
    layers = [Layer(name, SHAPE, weights[name]) for name in names]
    vectors = chance(layers, [1500, 1500], first=DRAWS if reference == "random" else 0)
    # From the random reference those are measured that are not part of it.
    centre = chance(layers, [1500, 1500]).mean(axis=0) if reference == "random" else 0.0
    norms = np.linalg.norm(vectors - centre, axis=2).sum(axis=1)
    if aggregate == "mean_vector":
        norms = np.linalg.norm((vectors - centre).mean(axis=1), axis=1)
    assert (z_score.mean, z_score.std) == pytest.approx((norms.mean(), norms.std(ddof=1)))


@pytest.mark.parametrize("reference", ["origin", "random"])
def test_random_masks_have_no_z_on_average_whatever_the_reference(reference):
    # Twelve z-scores of standard deviation about 1.1, all against the same 16 distances: their mean has a standard
    # deviation of sqrt(1.1² / 12 + 1 / 16) = 0.4; within three of them. Measured from a mean that chance is part of,
    # it would be about 1.8.
    shape, names = (12, 60), [f"layer{number}" for number in range(120)]
    weights = {name: np.random.default_rng(number).standard_normal(shape) for number, name in enumerate(names)}
    scores = []
    for seed in range(12):
        masks = {name: _random_mask(1000 * seed + number, 300, shape) for number, name in enumerate(names)}
        scores.append(full_spectrum(masks, weights, cache=CACHE).distance_chance(reference).z)
    assert abs(np.mean(scores)) < 1.2


def test_progress_is_called_for_each_draw_of_each_layer_also_when_the_cache_holds_them():
    masks, cache = {"layer": _random_mask(3), "dense": np.ones(SHAPE, dtype=bool)}, SpectralCache()
    for _ in range(2):
        called = []
        full_spectrum(masks, None, cache=cache).chance(4, called.append)
        assert sorted(called) == ["dense"] * 4 + ["layer"] * 4


def test_candidates_of_the_same_counts_share_what_chance_gives(monkeypatch):
    cache, drawn = SpectralCache(), []
    draws = chance_module._draws
    monkeypatch.setattr(chance_module, "_draws", lambda *given: drawn.append(given) or draws(*given))
    one, other = (full_spectrum({"layer": _random_mask(seed)}, None, cache=cache) for seed in (3, 4))
    assert one.chance(4)["layer"]["imdb"].mean == other.chance(4)["layer"]["imdb"].mean
    assert len(drawn) == 1
    full_spectrum({"layer": _random_mask(3)}, None).chance(4)
    assert len(drawn) == 2  # with a cache of its own


def test_one_draw_has_no_deviation():
    with pytest.raises(ValueError, match="at least 2, for a standard deviation, but are 1"):
        full_spectrum({"layer": _random_mask(0)}, None).chance(1)
