"""The layout in a mask file."""

import json

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import layout, prunable
from fullspectrum.models.layout import Layout
from fullspectrum.models.masks import MaskSet
from torch import nn

from ..everylayer import EveryLayer

MASKS = MaskSet({"conv.weight": np.ones((6, 2, 3, 3)), "wte.weight": np.ones((5, 4)), "bias": np.ones(6)})


def test_a_mask_file_carries_the_layout(tmp_path):
    model = EveryLayer()
    masks = {name: np.ones(weight.shape) for name, weight in prunable(model).items()}
    path = MaskSet(masks, layout(model).to_metadata()).save(tmp_path / "masks.safetensors")
    loaded = MaskSet.load(path)
    assert Layout.from_metadata(loaded.metadata, loaded) == layout(model) != Layout()


def test_what_is_usual_leaves_no_trace():
    assert layout(nn.Linear(2, 2)).to_metadata() == {}
    assert Layout.from_metadata({"seed": "3"}, MASKS) == Layout()


@pytest.mark.parametrize(
    "groups",
    [
        "",
        "[]",
        "2",
        "{",
        '{"conv.weight": 4}',
        '{"conv.weight": 0}',
        '{"conv.weight": -2}',
        '{"conv.weight": 2.0}',
        '{"conv.weight": true}',
        '{"conv.weight": "2"}',
        '{"conv.weight": NaN}',
        '{"conv.weight": 1' + 30 * "0" + "}",
        '{"conv.weight": 2, "conv.weight": 3}',
        '{"other.weight": 2}',
        '{"bias": 2}',
        "[" * 100_000,
    ],
)
def test_groups_that_cannot_be_are_refused_in_one_short_line(groups):
    with pytest.raises(InputError) as caught:
        Layout.from_metadata({"groups": groups}, MASKS)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("names", ["{}", '"wte.weight"', '["other"]', "[3]", '[["wte.weight"]]', "null", '["bias"]'])
def test_inputs_first_that_cannot_be_is_refused(names):
    with pytest.raises(InputError, match="inputs_first"):
        Layout.from_metadata({"inputs_first": names}, MASKS)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_groups_that_divide_the_first_axis_are_read(count):
    read = Layout.from_metadata({"groups": json.dumps({"conv.weight": count})}, MASKS)
    assert read == Layout({"conv.weight": count})
