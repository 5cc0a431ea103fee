"""The coordinate of a mask set: its table, its invariances, its policy on the undefined."""

import json
import pickle
import sys
from dataclasses import fields, replace
from math import isnan

import numpy as np
import pytest
from fullspectrum.spectral import Coordinate, SpectralCache, evaluation, full_spectrum
from fullspectrum.spectral.coordinate import FIELDS, LayerCoordinate

SHAPES = {"conv1": (12, 3, 3, 3), "conv2": (16, 12, 3, 3), "fc": (10, 80)}


def _masks_and_weights(sparsity: float = 0.5, seed: int = 0) -> tuple[dict, dict]:
    generator = np.random.default_rng(seed)
    masks = {name: generator.random(shape) >= sparsity for name, shape in SHAPES.items()}
    return masks, {name: generator.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture
def partly_undefined() -> Coordinate:
    masks, weights = _masks_and_weights()
    masks["conv1"][:] = False
    return full_spectrum(masks, weights)


def test_layers_stand_in_the_order_of_the_masks():
    masks, weights = _masks_and_weights()
    backwards = dict(reversed(masks.items()))
    assert list(full_spectrum(backwards, weights).layers) == list(backwards)


def test_vector_is_the_four_fields_in_order():
    layer = full_spectrum(*_masks_and_weights()).layers["fc"]
    assert layer.vector.tolist() == [layer.ramanujan_gap, layer.imdb, layer.weighted_gap, layer.imsg]
    assert layer.defined
    assert layer.weighted_gap == layer.weighted_sigma1 - layer.weighted_sigma2


def test_sparsity_and_size_are_exact():
    masks, weights = _masks_and_weights()
    for name, layer in full_spectrum(masks, weights).layers.items():
        assert layer.weights == masks[name].size
        assert layer.sparsity == 1 - np.count_nonzero(masks[name]) / masks[name].size


@pytest.mark.parametrize("factor", [-1.0, 2.5, 1e-30, 1e30])
def test_weighted_gaps_scale_with_the_weights_and_nothing_else_does(factor):
    masks, weights = _masks_and_weights()
    scaled = full_spectrum(masks, {name: values.astype(float) * factor for name, values in weights.items()})
    for name, layer in full_spectrum(masks, weights).layers.items():
        expected = replace(
            layer,
            **{
                field: getattr(layer, field) * abs(factor)
                for field in ("weighted_gap", "imsg", "weighted_sigma1", "weighted_sigma2")
            },
        )
        assert list(scaled.layers[name].to_dict().values()) == pytest.approx(
            list(expected.to_dict().values()), rel=1e-10
        )


def test_removed_weights_are_not_seen():
    masks, weights = _masks_and_weights()
    other = {name: np.where(masks[name], values, 1e6) for name, values in weights.items()}
    assert full_spectrum(masks, other).to_dict() == full_spectrum(masks, weights).to_dict()


def test_kept_zeros_are_edges_and_a_layer_of_them_has_gap_zero():
    masks, weights = _masks_and_weights()
    layer = full_spectrum(masks, {name: values * 0 for name, values in weights.items()}).layers["fc"]
    assert (layer.weighted_gap, layer.imsg) == (0.0, 0.0)
    assert isnan(layer.normalized_weighted_gap)
    assert isnan(layer.normalized_imsg)
    assert layer.ramanujan_gap == full_spectrum(masks, weights).layers["fc"].ramanujan_gap


def test_fully_masked_layer_is_all_undefined(partly_undefined):
    layer = partly_undefined.layers["conv1"]
    assert (layer.sparsity, layer.subgraphs, layer.weights) == (1.0, 0, 324)
    undefined = {field.name for field in fields(LayerCoordinate)} - {"sparsity", "subgraphs", "weights"}
    assert all(isnan(getattr(layer, field)) for field in undefined)


def test_undefined_layers_are_counted_out(partly_undefined):
    assert partly_undefined.defined_layers == 2
    assert "2 defined" in repr(partly_undefined)


@pytest.mark.parametrize("field", [*FIELDS, "narc", "sigma2"])
def test_mean_is_over_the_defined_layers(partly_undefined, field):
    conv2, fc = partly_undefined.layers["conv2"], partly_undefined.layers["fc"]
    assert partly_undefined.mean(field) == (getattr(conv2, field) + getattr(fc, field)) / 2


@pytest.mark.filterwarnings("error")
def test_mean_of_nothing_is_undefined_without_a_warning():
    coordinate = full_spectrum({"layer": np.zeros((3, 3), dtype=bool)}, None)
    assert isnan(coordinate.mean("imdb"))
    assert coordinate.l2_distance() == 0.0


def test_mean_of_an_unknown_field_names_the_fields(partly_undefined):
    with pytest.raises(ValueError, match="field must be one of ramanujan_gap, imdb, .*, but got 'gap'"):
        partly_undefined.mean("gap")


def test_without_weights_the_mask_alone_is_scored():
    masks, weights = _masks_and_weights()
    alone, full = full_spectrum(masks, None).layers["conv2"], full_spectrum(masks, weights).layers["conv2"]
    assert (alone.ramanujan_gap, alone.imdb, alone.narc) == (full.ramanujan_gap, full.imdb, full.narc)
    assert np.isnan([alone.weighted_gap, alone.imsg, alone.weighted_sigma1, alone.normalized_imsg]).all()


def test_frame_has_a_row_for_each_layer_and_a_column_for_each_field(partly_undefined):
    frame = partly_undefined.to_frame()
    assert list(frame.index) == list(SHAPES)
    assert list(frame.columns) == [field.name for field in fields(LayerCoordinate)]
    assert frame.loc["fc", "imdb"] == partly_undefined.layers["fc"].imdb
    assert isnan(frame.loc["conv1", "imdb"])
    assert frame["subgraphs"].dtype == frame["weights"].dtype == np.int64


def test_without_pandas_a_frame_is_refused_with_the_way_out(partly_undefined, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas: pip install 'fullspectrum\[pandas\]'"):
        partly_undefined.to_frame()


def test_table_is_strict_json_with_null_for_undefined(partly_undefined):
    table = json.loads(json.dumps(partly_undefined.to_dict(), allow_nan=False))
    assert table == partly_undefined.to_dict()
    assert table["conv1"]["imdb"] is None
    assert table["fc"]["imdb"] == partly_undefined.layers["fc"].imdb


def test_coordinate_survives_pickling_with_its_references(partly_undefined):
    partly_undefined.l2_distance("random")
    copy = pickle.loads(pickle.dumps(partly_undefined))
    assert copy.to_dict() == partly_undefined.to_dict()
    for reference in ("origin", "random", "dense"):
        assert copy.l2_distance(reference) == partly_undefined.l2_distance(reference)


def test_the_same_numbers_in_another_orientation_are_another_layer():
    weights = np.random.default_rng(3).standard_normal(24)
    mask = {"layer": np.ones((6, 4), dtype=bool)}
    full_spectrum(mask, {"layer": weights.reshape(6, 4)})
    turned = {"layer": mask["layer"].reshape(4, 6)}
    layer = full_spectrum(turned, {"layer": weights.reshape(4, 6)}, inputs_first=("layer",)).layers["layer"]
    expected = np.linalg.norm(np.abs(weights.reshape(4, 6)), 2)
    assert layer.weighted_sigma1 == pytest.approx(expected, rel=1e-9)


def test_threads_do_not_change_a_bit():
    generator = np.random.default_rng(7)
    masks = {name: generator.random((256, 1100)) < 0.3 for name in ("one", "two")}
    weights = {name: generator.standard_normal(mask.shape) for name, mask in masks.items()}
    assert sum(map(np.count_nonzero, masks.values())) > evaluation.PARALLEL_EDGES
    tables = [full_spectrum(masks, weights, threads=threads).to_dict() for threads in (1, 2)]
    assert tables[0] == tables[1]


def test_a_layer_is_computed_once_wherever_its_mask_and_kept_weights_recur(monkeypatch):
    masks, weights = _masks_and_weights()
    cache, calls = SpectralCache(), []
    solve = evaluation.two_largest_of
    monkeypatch.setattr(evaluation, "two_largest_of", lambda given, run: calls.append(len(given)) or solve(given, run))
    expected = full_spectrum(masks, weights, cache=cache).to_dict()
    renamed = {f"other.{name}": mask for name, mask in masks.items()}
    # Weights that are removed are not part of the layer.
    elsewhere = {f"other.{name}": np.where(masks[name], values, 7.0) for name, values in weights.items()}
    assert list(full_spectrum(renamed, elsewhere, cache=cache).to_dict().values()) == list(expected.values())
    assert calls[0] > 0 and calls[1:] == [0]
    weights["fc"] = weights["fc"] * 2
    assert full_spectrum(masks, weights, cache=cache).layers["fc"].weighted_sigma1 == pytest.approx(
        2 * expected["fc"]["weighted_sigma1"], rel=1e-7
    )
