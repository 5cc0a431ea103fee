"""A state dict in a file of torch.save: a stranger's file takes no memory and runs nothing."""

import os
import zipfile

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.torchfile import read, write


def refused(path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_tensors_come_back_bit_for_bit_in_their_order(tmp_path):
    state = {
        "b": torch.tensor([float("nan"), -0.0]),
        "a": torch.tensor(3),
        "c": torch.zeros(0, 2),
        "d": torch.ones(2) > 0,
    }
    state["e"] = torch.ones(2, 3, 4, 4).contiguous(memory_format=torch.channels_last).bfloat16()
    loaded = read(write(tmp_path / "a.pt", state))
    assert list(loaded) == list(state)
    for name, tensor in state.items():
        assert loaded[name].dtype == tensor.dtype and loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name].nan_to_num(), tensor.nan_to_num())


def test_a_view_is_written_without_the_storage_behind_it_and_the_name_of_the_file_does_not_matter(tmp_path):
    state = {"a": torch.ones(1_000_000)[:2]}
    one, two = write(tmp_path / "one.pt", state), write(tmp_path / "two.pt", state)
    assert one.read_bytes() == two.read_bytes() and one.stat().st_size < 10_000


def test_tied_weights_are_read(tmp_path):
    weight = torch.rand(1000)
    torch.save({"a": weight, "b": weight}, tmp_path / "tied.pt")
    loaded = read(tmp_path / "tied.pt")
    assert loaded["a"] is loaded["b"] and torch.equal(loaded["a"], weight)


def test_a_parameter_is_read_as_a_tensor_without_gradient(tmp_path):
    torch.save({"a": torch.nn.Parameter(torch.ones(2))}, tmp_path / "a.pt")
    assert type(read(tmp_path / "a.pt")["a"]) is torch.Tensor and not read(tmp_path / "a.pt")["a"].requires_grad


def test_a_stride_of_zero_makes_no_small_file_large(tmp_path):
    torch.save({"a": torch.zeros(1).expand(2**20)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "declares more elements than it holds")
    torch.save({"a": torch.zeros(1).expand(2**33)}, tmp_path / "b.pt")
    refused(tmp_path / "b.pt", "holds more than")


def test_many_views_of_one_storage_do_not_multiply_it(tmp_path):
    storage = torch.zeros(100_000)
    torch.save({str(shift): storage[shift:] for shift in range(100)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "declares more elements than it holds")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"a": torch.zeros(1_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as source, zipfile.ZipFile(tmp_path / "bomb.pt", "w") as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pt").stat().st_size < 10_000
    refused(tmp_path / "bomb.pt", "compressed")


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


@pytest.mark.parametrize("old", [False, True])
def test_nothing_in_a_file_is_run(tmp_path, monkeypatch, old):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Evil()}, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
    refused(tmp_path / "a.pt", "not a readable file of torch.save")
    assert os.listdir(tmp_path) == ["a.pt"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "no state dict"),
        ({1: torch.ones(2)}, "no state dict"),
        ({"a": 3}, "something else than a dense tensor under 'a'"),
        ({"a": torch.ones(2, 2).to_sparse()}, "something else than a dense tensor"),
        ({"a": torch.ones(2, device="meta")}, "something else than a dense tensor"),
        ({"a": torch.full((2,), 7, dtype=torch.uint8).view(torch.bool)}, "no booleans"),
    ],
)
def test_what_is_no_state_dict_of_dense_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", message)


def test_a_large_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("fullspectrum.models.torchfile.PICKLE_LIMIT", 1000)
    torch.save({str(number): torch.ones(1) for number in range(100)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "its pickle takes more than 1000 bytes")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a folder or a device")
