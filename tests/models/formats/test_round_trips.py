"""What is exported comes back exactly, through every format."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.formats import FORMATS, export, load, read, recognise
from fullspectrum.models.formats.sidecar import kept_zeros
from fullspectrum.models.formats.state_dict import zeroed
from fullspectrum.models.masks import MaskSet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

#: Formats that tell a mask of a weight with one axis from a bias or a normalisation, and masks that keep all from none.
EXACT = set(FORMATS) - {"state-dict", "synaptic-flow"}


@st.composite
def networks(draw, least_axes: int = 1) -> tuple[MaskSet, dict[str, torch.Tensor]]:
    """Draw masks and a whole state dict.

    Weights have 1 to 4 axes (a grouped convolution has few inputs), layers are empty, full or neither, some kept
    weights are exactly 0, one may be shared by two layers, and there are biases, statistics and a counter.
    """
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]))
    state: dict[str, torch.Tensor] = {}
    masks = {}
    for number in range(draw(st.integers(1, 4))):
        shape = tuple(draw(st.lists(st.integers(1, 4), min_size=least_axes, max_size=4)))
        weight = torch.randn(shape, generator=generator).to(dtype)
        weight[torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.3]))] = 0
        name = f"{draw(st.sampled_from(['', 'block.', 'übung.']))}layer{number}.weight"
        state[name] = weight
        masks[name] = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
        if draw(st.booleans()):
            state[name.replace("weight", "bias")] = torch.randn(shape[0], generator=generator)
    shared = draw(st.sampled_from([None, *masks]))
    if shared:
        state["tied.weight"] = state[shared]
    if draw(st.booleans()):
        state |= {"norm.weight": torch.ones(3), "norm.running_mean": torch.zeros(3)}
        state["norm.num_batches_tracked"] = torch.tensor(7)
    return MaskSet(masks), state


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), prefix=st.sampled_from(["", "backbone."]))
def test_masks_and_weights_come_back_exactly(tmp_path_factory, name, data, prefix):
    masks, state = data.draw(networks(1 if name in EXACT else 2))
    path = Path(tmp_path_factory.mktemp("trip")) / "best.pt"
    export(name, path, masks, state, prefix=prefix)
    # The form of both is the same.
    known = "ramanujan" if name == "itop" else name
    # Weights that are all 0 or 1 are masks.
    if name != "state-dict" or any(((tensor != 0) & (tensor != 1)).any() for tensor in zeroed(masks, state).values()):
        assert recognise(path) == known
    loaded, weights = load(name, path)
    kept = zeroed(masks, state) if FORMATS[name].zeroes_removed else state
    for key, tensor in kept.items():
        assert weights[prefix + key].dtype == tensor.dtype
        assert torch.equal(weights[prefix + key], tensor)
    assert len(weights) == len(kept)
    if "tied.weight" in state:
        assert len({tensor.data_ptr() for tensor in weights.values() if tensor.numel()}) < len(weights)
    expected = {f"{prefix}{key}": mask for key, mask in masks.items()}
    if FORMATS[name].infers_masks:
        expected = {key: (kept[key.removeprefix(prefix)] != 0).numpy() for key in expected}
    if name in EXACT or name == "state-dict":
        assert loaded == MaskSet(expected)
    else:
        # A format without a place for a mask that keeps all has none.
        assert all(np.array_equal(loaded.get(key, np.ones_like(mask)), mask) for key, mask in expected.items())
        assert all(key in expected or mask.all() for key, mask in loaded.items())
    assert json.loads((path.parent / "best.pt.json").read_text())["kept_zeros"] == kept_zeros(masks, state)


def test_a_mask_passes_from_format_to_format(tmp_path):
    generator = torch.Generator().manual_seed(0)
    state = {f"layer{n}.weight": torch.randn(4, 3, generator=generator) for n in range(3)}
    masks = MaskSet({key: torch.rand(4, 3, generator=generator) < 0.5 for key in state})
    passed = masks
    for number, name in enumerate([*FORMATS, *reversed(list(FORMATS))]):
        export(name, tmp_path / f"{number}.pt", passed, state)
        found = read(tmp_path / f"{number}.pt", name)
        passed, state = found.masks, found.state
        assert passed == masks, name
