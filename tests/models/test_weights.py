import os
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import DEFAULT_TASKS, build, initial_state
from fullspectrum.models.weights import init_digest, load_state, save_state


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return initial_state(build("resnet20", DEFAULT_TASKS["resnet20"], 0))


def test_a_state_dict_comes_back_bit_for_bit(tmp_path, state):
    state["flags"] = torch.tensor([True, False])
    state["half"] = torch.tensor([0.1], dtype=torch.bfloat16)
    loaded = load_state(save_state(tmp_path / "init.safetensors", state))
    assert loaded.keys() == state.keys() and init_digest(loaded) == init_digest(state)
    assert all(
        torch.equal(loaded[name], tensor) and loaded[name].dtype == tensor.dtype for name, tensor in state.items()
    )


def test_tied_weights_are_saved_under_both_names(tmp_path):
    shared = torch.ones(3)
    loaded = load_state(save_state(tmp_path / "init.safetensors", {"a": shared, "b": shared}))
    assert torch.equal(loaded["a"], shared) and torch.equal(loaded["b"], shared)


def test_digest_ignores_order_and_layout_and_nothing_else(state):
    digest = init_digest(state)
    assert init_digest(dict(reversed(state.items()))) == digest
    assert init_digest({**state, "conv1.weight": state["conv1.weight"].to(memory_format=torch.channels_last)}) == digest
    changed = state["bn1.running_mean"].clone()
    changed[-1] = 1e-45  # The smallest change there is: one bit of a subnormal.
    assert init_digest({**state, "bn1.running_mean": changed}) != digest
    assert init_digest({**state, "bn1.weight": state["bn1.weight"].double()}) != digest
    assert init_digest({**state, "bn1.weight": state["bn1.weight"][None]}) != digest


SAVE = """
import sys, torch
from fullspectrum.models.weights import save_state
dtypes = {"z": torch.float32, "a": torch.int64, "b": torch.uint8}
state = {name: torch.arange(5, dtype=dtype) for name, dtype in dtypes.items()}
save_state(sys.argv[1], state, {"study": "s", "model": "m", "seed": "3"})
"""


def test_files_are_the_same_bytes_in_every_process(tmp_path):
    contents = set()
    for seed in ("0", "1"):
        path = tmp_path / seed
        subprocess.run([sys.executable, "-c", SAVE, path], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_weights_that_other_programs_saved_can_be_read(tmp_path):
    safetensors.torch.save_file({"fc.weight": torch.ones(2, 2)}, tmp_path / "weights.safetensors")
    assert load_state(tmp_path / "weights.safetensors")["fc.weight"].sum() == 4


def test_changed_weights_are_noticed_by_their_digest(tmp_path, state):
    path = save_state(tmp_path / "init.safetensors", state)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="init.safetensors: corrupted"):
        load_state(path)


def test_truncated_weights_are_refused(tmp_path, state):
    path = save_state(tmp_path / "init.safetensors", state)
    content = path.read_bytes()
    for length in (0, 7, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="init.safetensors"):
            load_state(path)


def test_booleans_other_than_0_and_1_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"flags": torch.tensor([True] * 8)}, path)
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(InputError, match="flags"):
        load_state(path)


def test_state_that_is_no_tensor_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="fc._extra_state"):
        save_state(tmp_path / "init.safetensors", {"fc._extra_state": {"a": 1}})


def test_a_symbolic_link_is_never_written_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(InputError, match="symbolic link"):
        save_state(tmp_path / "link", {"w": torch.ones(1)})
