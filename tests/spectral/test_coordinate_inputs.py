"""What `full_spectrum` accepts, and what it says about the rest."""

import numpy as np
import pytest
import torch
from fullspectrum.spectral import full_spectrum

MASK = np.random.default_rng(0).random((12, 20)) < 0.6
#: Multiples of 1/8 up to 16 are exact in every type below, float16 and bfloat16 included.
WEIGHTS = np.random.default_rng(1).integers(-127, 128, MASK.shape) / 8
EXPECTED = full_spectrum({"fc.weight": MASK}, {"fc.weight": WEIGHTS}).to_dict()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_masks_of_any_numpy_type_are_accepted(dtype):
    assert full_spectrum({"fc.weight": MASK.astype(dtype)}, {"fc.weight": WEIGHTS}).to_dict() == EXPECTED


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_of_any_numpy_type_are_accepted(dtype):
    assert full_spectrum({"fc.weight": MASK}, {"fc.weight": WEIGHTS.astype(dtype)}).to_dict() == EXPECTED


@pytest.mark.parametrize("mask_type", [torch.bool, torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weight_type", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_of_any_type_are_accepted(mask_type, weight_type):
    mask = torch.from_numpy(MASK).to(mask_type)
    weights = torch.nn.Parameter(torch.from_numpy(WEIGHTS).to(weight_type))
    assert full_spectrum({"fc.weight": mask}, {"fc.weight": weights}).to_dict() == EXPECTED


def test_transposed_views_are_accepted():
    masks, weights = np.asfortranarray(MASK), torch.from_numpy(WEIGHTS.T.copy()).T
    assert full_spectrum({"fc.weight": masks}, {"fc.weight": weights}).to_dict() == EXPECTED


def test_weights_of_other_parameters_are_ignored():
    weights = {"fc.bias": np.full(12, np.nan), "fc.weight": WEIGHTS}
    assert full_spectrum({"fc.weight": MASK}, weights).to_dict() == EXPECTED


def test_every_mismatch_stands_in_one_line():
    masks = {"a": MASK, "b": MASK, "c": MASK}
    with pytest.raises(ValueError) as error:
        full_spectrum(masks, {"b": torch.from_numpy(WEIGHTS.T), "c": WEIGHTS})
    message = str(error.value)
    assert "a has no weights" in message
    assert "b has mask shape (12, 20) but weight shape (20, 12)" in message
    assert "c has" not in message
    assert "\n" not in message


@pytest.mark.parametrize("bad", [2, -1, 0.5, np.nan, np.inf])
def test_mask_with_other_values_is_refused_by_name(bad):
    mask = MASK.astype(float)
    mask[3, 4] = bad
    with pytest.raises(ValueError, match=r"mask of fc\.weight must hold only 0 and 1"):
        full_spectrum({"fc.weight": mask}, {"fc.weight": WEIGHTS})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(bad):
    weights = WEIGHTS.copy()
    weights[0, 0] = bad
    with pytest.raises(ValueError, match=r"weights of fc\.weight must be finite"):
        full_spectrum({"fc.weight": MASK}, {"fc.weight": weights})


@pytest.mark.parametrize("shape", [(), (5,), (0, 4), (4, 0, 3, 3)])
def test_mask_without_a_matrix_is_refused_by_name(shape):
    with pytest.raises(ValueError, match=r"mask of norm\.weight must have at least 2 axes"):
        full_spectrum({"norm.weight": np.ones(shape, dtype=bool)}, None)


@pytest.mark.parametrize("values", [np.full(MASK.shape, "x"), MASK.astype(complex), MASK.astype(object)])
def test_what_is_not_a_real_number_is_refused_by_name(values):
    with pytest.raises(ValueError, match=r"mask of fc\.weight must hold real numbers"):
        full_spectrum({"fc.weight": values}, None)
    with pytest.raises(ValueError, match=r"weights of fc\.weight must hold real numbers"):
        full_spectrum({"fc.weight": MASK}, {"fc.weight": values})


def test_no_masks_are_refused():
    with pytest.raises(ValueError, match="at least one parameter"):
        full_spectrum({}, {})
