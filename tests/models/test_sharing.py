"""Tensors that a state dict has under several names."""

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import initial_state
from fullspectrum.models.sharing import shared_again, shared_names
from fullspectrum.models.weights import load_state, save_state
from torch import nn


def tied() -> nn.ModuleDict:
    """Two layers with one weight, and one layer in two places."""
    same = nn.Linear(3, 3)
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "once": same, "twice": same})
    model.b.weight = model.a.weight
    return model


SHARED = [["a.weight", "b.weight"], ["once.weight", "twice.weight"], ["once.bias", "twice.bias"]]


def test_a_state_dict_says_which_of_its_names_are_of_one_tensor():
    assert shared_names(tied().state_dict()) == SHARED
    # Equal values are not one tensor, and neither are two parts of one memory, nor two tensors of no memory.
    memory = torch.ones(4)
    different = {"a": memory[:2], "b": memory[2:], "c": torch.ones(2), "d": torch.ones(0), "e": torch.ones(0)}
    assert shared_names(different) == []


def test_copies_and_weight_files_keep_what_is_shared(tmp_path):
    model = tied()
    state = initial_state(model)
    assert shared_names(state) == SHARED
    # The names of a file are in order of the alphabet.
    assert shared_names(load_state(save_state(tmp_path / "w", state))) == sorted(sorted(names) for names in SHARED)
    assert state["a.weight"].data_ptr() != model.a.weight.data_ptr()


@pytest.mark.parametrize(
    "shared", [3, "ab", [["a"]], [["a", "x"]], [["a", 1]], ["ab"], [["a", "other"]], [["a", "double"]], [["a", ["b"]]]]
)
def test_what_a_file_cannot_share_is_refused(shared):
    state = {"a": torch.ones(2), "b": torch.ones(2), "other": torch.zeros(2), "double": torch.ones(2).double()}
    assert shared_names(shared_again(state, [["a", "b"]])) == [["a", "b"]]
    with pytest.raises(InputError, match="corrupted .it names as one tensor what is none"):
        shared_again(state, shared)
