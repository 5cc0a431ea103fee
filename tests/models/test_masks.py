import hashlib
import os
import pickle

import numpy as np
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import MaskSet, check_fits


def two_layers() -> dict[str, np.ndarray]:
    return {"conv.weight": np.array([[1, 0], [0, 0]]), "fc.weight": np.array([1, 1, 0])}


def test_mask_set_is_a_mapping_in_the_given_order():
    masks = MaskSet({"z": [1, 0], "a": [1]})
    assert list(masks) == ["z", "a"] and len(masks) == 2 and "a" in masks


def test_counts_and_sparsities_are_exact():
    masks = MaskSet(two_layers())
    assert (masks.kept, masks.size, masks.sparsity) == (3, 7, 4 / 7)
    assert masks.layer_sparsity == {"conv.weight": 3 / 4, "fc.weight": 1 / 3}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.bfloat16, torch.float16, torch.float64])
def test_every_dtype_of_zeros_and_ones_gives_the_same_masks(dtype):
    assert MaskSet({"w": torch.tensor([[1, 0, 1]]).to(dtype)}) == MaskSet({"w": np.array([[True, False, True]])})


@pytest.mark.parametrize("value", [2, -1, 0.5, float("nan"), float("inf"), 1e-30])
def test_values_other_than_0_and_1_are_refused_with_the_parameter_named(value):
    for array in (np.array([1, value]), torch.tensor([1, value], dtype=torch.float64)):
        with pytest.raises(InputError, match="fc.weight"):
            MaskSet({"fc.weight": array})


@pytest.mark.parametrize("array", [np.array(["1"]), np.array([None]), np.array([1j]), "11"])
def test_arrays_that_are_no_numbers_are_refused(array):
    with pytest.raises(InputError, match="fc.weight"):
        MaskSet({"fc.weight": array})


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_masks_without_dimensions_or_weights_are_refused(shape):
    with pytest.raises(InputError, match="shape"):
        MaskSet({"fc.weight": np.ones(shape)})


@pytest.mark.parametrize("name", ["a/b.weight", "/etc/passwd", "a\\b.weight", "./a.weight"])
def test_a_slash_may_stand_in_a_name_as_in_that_of_a_module_and_is_no_path(name, tmp_path):
    masks = MaskSet({name: [1, 0]})
    assert MaskSet.load(masks.save(tmp_path / "mask")) == masks and os.listdir(tmp_path) == ["mask"]


@pytest.mark.parametrize("name", ["", 3, None, "a\0b", "../../x", "a..b", "a\nb", "\ud800", "__metadata__"])
def test_unsafe_names_are_refused(name):
    with pytest.raises(InputError):
        MaskSet({name: [1]})


def test_an_empty_mask_set_is_refused():
    with pytest.raises(InputError, match="at least one"):
        MaskSet({})


@pytest.mark.parametrize("metadata", [{"seed": 3}, {3: "seed"}, {"digest": "0"}, {"format": "mine"}])
def test_metadata_are_strings_and_leave_the_formats_own_keys_alone(metadata):
    with pytest.raises(InputError):
        MaskSet({"w": [1]}, metadata)


def test_masks_are_copies_that_cannot_be_written_to():
    source = np.array([True, False])
    masks = MaskSet({"w": source})
    source[:] = True
    assert masks["w"].tolist() == [True, False]
    with pytest.raises(ValueError):
        masks["w"][1] = True


def test_pickling_keeps_masks_metadata_and_write_protection():
    masks = MaskSet(two_layers(), {"seed": "3"})
    copy = pickle.loads(pickle.dumps(masks))
    assert copy == masks and copy.metadata == {"seed": "3"} and not copy["fc.weight"].flags.writeable


def test_equality_and_digest_ignore_order_and_metadata():
    masks = MaskSet(two_layers(), {"seed": "3"})
    turned = MaskSet(dict(reversed(two_layers().items())))
    assert masks == turned and masks.digest() == turned.digest()


@pytest.mark.parametrize(
    "other",
    [
        {"w": [[1, 0, 1, 0]]},
        {"w": [1, 0, 1, 1]},
        {"v": [1, 0, 1, 0]},
        {"w": [1, 0, 1, 0, 0]},
        {"w": [1, 0, 1, 0], "v": [0]},
    ],
)
def test_digest_tells_shapes_bits_and_names_apart(other):
    masks = MaskSet({"w": [1, 0, 1, 0]})
    assert masks != MaskSet(other) and masks.digest() != MaskSet(other).digest()


def test_digest_never_changes():
    # Stored with every mask ever saved: a change would make all of them unreadable.
    content = b'["conv.weight", [2, 2]]\n\x01["fc.weight", [3]]\n\x03'
    assert MaskSet(two_layers()).digest() == hashlib.sha256(content).hexdigest()


def test_masks_under_wrapper_prefixes_take_the_models_names():
    parameters = {"conv.weight": np.empty((2, 2)), "fc.weight": torch.empty(3), "fc.bias": torch.empty(3)}
    wrapped = MaskSet({f"module._orig_mod.{name}": mask for name, mask in two_layers().items()}, {"seed": "3"})
    fitted = check_fits(wrapped, parameters)
    assert fitted == MaskSet(two_layers()) and fitted.metadata == {"seed": "3"}


def test_masks_take_the_names_of_a_wrapped_model():
    parameters = {"module.conv.weight": torch.empty(2, 2), "module.fc._orig_mod.weight": torch.empty(3)}
    assert list(check_fits(MaskSet(two_layers()), parameters)) == list(parameters)


def test_every_mismatch_is_listed_in_one_line():
    masks = MaskSet({"conv.weight": np.ones((2, 3)), "fc.wieght": [1], "fc.weight": [1, 0, 1]})
    parameters = {"conv.weight": torch.empty(2, 2), "fc.weight": torch.empty(3), "head.weight": torch.empty(1)}
    with pytest.raises(InputError) as caught:
        check_fits(masks, parameters, complete=True)
    message = str(caught.value)
    assert "(2, 3)" in message and "(2, 2)" in message
    assert 'unexpected fc.wieght, did you mean "fc.weight"' in message
    assert "missing head.weight" in message and "\n" not in message


def test_parameters_without_a_mask_stay_dense_unless_all_are_asked_for():
    masks = MaskSet({"fc.weight": [1, 0]})
    parameters = {"fc.weight": torch.empty(2), "conv.weight": torch.empty(3)}
    assert check_fits(masks, parameters) == masks
    with pytest.raises(InputError, match="missing conv.weight"):
        check_fits(masks, parameters, complete=True)


def test_one_parameter_under_two_names_is_refused():
    with pytest.raises(InputError, match="twice"):
        check_fits(MaskSet({"module.fc.weight": [1], "fc.weight": [1]}), {"fc.weight": torch.empty(1)})
