"""A stranger's file is recognised cheaply, and a bad one refused at once, in one line."""

import io
import os
import pickle
import subprocess
import sys
import time
import zipfile
from collections import defaultdict

import numpy as np
import onnx
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats import FORMATS, read, recognise
from fullspectrum.models.formats.torchformat import MaskFormat
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.weights import save_state

MASK = torch.tensor([[1, 0], [0, 1]])
WEIGHT = torch.tensor([[0.5, 2.0], [3.0, 4.0]])


def torch_saved(path, content):
    torch.save(content, path)
    return path


FOREIGN = {
    "torch-prune": {"fc.weight_orig": WEIGHT, "fc.weight_mask": MASK.float(), "fc.bias": torch.ones(2)},
    "synaptic-flow": {"fc.weight": WEIGHT, "fc.weight_mask": MASK.float()},
    "modelopt": {"fc.weight": WEIGHT, "fc._weight_mask": MASK.bool()},
    "open-lth": {"fc.weight": MASK.int()},
    "ramanujan": {"fc.weight": MASK.float()},
    "itop": {"fc.weight": MASK.float(), "embedding": MASK.float()},
    "rigl-torch": [None, MASK.bool()],
    "nni": defaultdict(dict, {"fc": {"weight": MASK.float(), "bias": None, "_output_0": None}}),
    "state-dict": {"fc.weight": WEIGHT * MASK, "fc.bias": torch.ones(2)},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_other_trainers_are_recognised_and_read(tmp_path, name):
    found = read(torch_saved(tmp_path / "a.pt", FOREIGN[name]))
    assert found.format == name and found.inferred == (name == "state-dict")
    (mask, *_), named = found.masks.values(), name != "rigl-torch"
    assert np.array_equal(mask, MASK.bool().numpy())
    assert next(iter(found.masks)) == ("fc.weight" if named else "1") and found.named == named
    assert (found.state is None) == isinstance(FORMATS[name](), MaskFormat)
    assert "sparsity 0.5000" in found.describe()


def test_the_scheduler_of_rigl_torch_and_the_state_of_a_checkpoint_are_found(tmp_path):
    state = {"backward_masks": [MASK.bool(), None], "N": [4, 9], "hyperparams": {"alpha": 0.3}}
    assert read(torch_saved(tmp_path / "a.pt", state), None, {"fc.weight": WEIGHT}).masks.keys() == {"fc.weight"}
    for key in ("state_dict", "model_state_dict"):
        checkpoint = {"epoch": 3, key: FOREIGN["torch-prune"], "optimizer": {"param_groups": [{"lr": 0.1}]}}
        found = read(torch_saved(tmp_path / "b.pt", checkpoint))
        assert found.format == "torch-prune" and found.state.keys() == {"fc.weight", "fc.bias"}


def test_safetensors_are_our_masks_or_somebodys_weights(tmp_path):
    MaskSet({"fc.weight": MASK}).save(tmp_path / "a")
    save_state(tmp_path / "b", {"fc.weight": WEIGHT * MASK})
    assert [recognise(tmp_path / name) for name in "ab"] == ["fullspectrum", "state-dict"]


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_the_names_of_wrappers_do_not_count(tmp_path, wrapper):
    wrapped = {f"{wrapper}{name}": tensor for name, tensor in FOREIGN["torch-prune"].items()}
    found = read(torch_saved(tmp_path / "a.pt", wrapped))
    assert found.masks.keys() == {"fc.weight"} and found.state.keys() == {"fc.weight", "fc.bias"}


@pytest.mark.parametrize(("theirs", "ours"), [("net.fc.weight", "fc.weight"), ("fc.weight", "backbone.fc.weight")])
def test_a_prefix_of_one_side_does_not_count(tmp_path, theirs, ours):
    path = torch_saved(tmp_path / "a.pt", {theirs: MASK.int()})
    assert read(path, None, {ours: WEIGHT}).masks.keys() == {ours}


def test_every_name_and_shape_that_does_not_fit_is_listed(tmp_path):
    path = torch_saved(tmp_path / "a.pt", {f"net.{name}.weight": MASK.int() for name in ("a", "b", "c")})
    with pytest.raises(InputError) as caught:
        read(path, None, {"net.a.weight": WEIGHT, "net.b.weight": torch.ones(3, 2), "d.weight": WEIGHT})
    assert "unexpected net.c.weight" in str(caught.value)
    assert "net.b.weight has a mask of shape (2, 2) for weights of shape (3, 2)" in str(caught.value)


def test_a_prefix_is_not_guessed_where_two_would_do(tmp_path):
    path = torch_saved(tmp_path / "a.pt", {"fc.weight": MASK.int()})
    with pytest.raises(InputError, match="unexpected fc.weight"):
        read(path, None, {"teacher.fc.weight": WEIGHT, "student.fc.weight": WEIGHT})


def test_masks_of_ones_are_said_to_be_dense(tmp_path):
    path = torch_saved(tmp_path / "a.pt", {"fc.weight": torch.ones(2, 2).int()})
    assert "it is dense: the masks remove no weight" in read(path).describe()
    with pytest.raises(InputError, match="is dense"):
        read(torch_saved(path, {"backward_masks": [None, None]}))


def test_a_bias_that_is_pruned_elsewhere_is_kept_and_named(tmp_path):
    half = torch.tensor([1.0, 0.0])
    state = FOREIGN["synaptic-flow"] | {"fc.bias": torch.ones(2), "fc.bias_mask": half}
    for content in (state, {"fc": {"weight": MASK.float(), "bias": half}}):
        found = read(torch_saved(tmp_path / "a.pt", content))
        assert found.masks.keys() == {"fc.weight"} and found.left_out == ("fc.bias",)
        assert "biases are left dense: fc.bias" in found.describe()


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def numpy_bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fc.weight.npy", b"\x93NUMPY" + bytes(20_000_000))


def twice(path):
    stream = io.BytesIO()
    torch.save({"fc.weight": MASK.int()}, stream)
    with zipfile.ZipFile(stream) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
        target.writestr(member.filename, source.read(member))


def deflated(path):
    stream = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(5_000_000)}, stream)
    with zipfile.ZipFile(stream) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))


def with_pickle(content):
    def write(path):
        stream = io.BytesIO()
        torch.save({"fc.weight": MASK.int()}, stream)
        with zipfile.ZipFile(stream) as source, zipfile.ZipFile(path, "w") as target:
            for member in source.infolist():
                target.writestr(
                    member.filename, content if member.filename.endswith(".pkl") else source.read(member.filename)
                )

    return write


def long_header(path):
    with path.open("wb") as file:
        file.write((99_000_000).to_bytes(8, "little") + b"{")
        file.truncate(99_000_100)


def onnx_model(*sparse, **fields):
    graph = onnx.GraphProto(name="g", sparse_initializer=sparse, **fields)
    return onnx.ModelProto(ir_version=8, graph=graph).SerializeToString()


def sparse(dims, places, values=None, **fields):
    held = onnx.numpy_helper.from_array(np.ones(len(places), np.float32) if values is None else values, "w")
    held.MergeFrom(onnx.TensorProto(**fields))
    return onnx.SparseTensorProto(
        dims=dims, values=held, indices=onnx.numpy_helper.from_array(np.array(places, dtype=np.int64))
    )


def field(number, content):
    """A field of protobuf that holds bytes: 5 bytes of length, the last ones of which may count nothing."""
    length = [len(content) >> shift & 127 | 128 for shift in (0, 7, 14, 21)] + [len(content) >> 28]
    return bytes([number << 3 | 2, *length]) + content


def empty_entries(*numbers):
    """Millions of empty messages, the field `numbers[-1]` of a message in a message of an ONNX model."""
    content = bytes([numbers[-1] << 3 | 2, 0]) * 5_000_000
    for number in reversed(numbers[:-1]):
        content = field(number, content)
    return lambda path: path.write_bytes(b"\x08\x08" + content)


def rows(**parts):
    good = {"crow_indices": [0, 1, 2], "col_indices": [0, 1], "values": [1.0, 1.0], "shape": [2, 2]}
    return {f"w.{key}": torch.tensor(value) for key, value in (good | parts).items()}


def saved(content):
    return lambda path: torch_saved(path, content)


def written(content):
    return lambda path: path.write_bytes(content)


BAD = {
    "a numpy bomb": (numpy_bomb, "is an archive of NumPy"),
    "an array of numpy": (written(b"\x93NUMPY" + bytes(100)), "is a NumPy array"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps(Evil())), "is a pickle, which can run code"),
    "an old file of torch": (
        lambda path: torch.save({"a": MASK}, path, _use_new_zipfile_serialization=False),
        "is a pickle",
    ),
    "a pickle in an archive": (saved({"fc.weight": Evil()}), "could run code"),
    "a part twice": (twice, "stands twice"),
    "a deflated archive": (deflated, "compressed"),
    "a stride of zero": (saved({"w": torch.zeros(1).expand(2**16, 2**16)}), "more elements than it holds"),
    "a list in itself": (with_pickle(b"\x80\x02]q\x00h\x00a."), "holds no masks in any of the formats"),
    "lists in lists": (with_pickle(b"\x80\x02" + b"]" * 450_000 + b"a" * 449_999 + b"."), "more than .* operations"),
    "a long header": (long_header, "header of 99000000 bytes"),
    "a header of brackets": (
        written((100_000).to_bytes(8, "little") + b"{" + b"[" * 99_999 + bytes(64)),
        "header is not JSON",
    ),
    "a byte of 7 for a boolean": (saved([torch.full((2, 2), 7, dtype=torch.uint8).view(torch.bool)]), "no booleans"),
    "a mask of nan": (saved({"w_orig": WEIGHT, "w_mask": MASK * float("nan")}), "only 0 and 1, but holds nan"),
    "a mask of 2": (saved({"w_orig": WEIGHT, "w_mask": MASK * 2}), "only 0 and 1, but holds 2"),
    "a name with dots": (saved({"../../x": MASK.int()}), "is not a parameter's name"),
    "a sparse tensor": (saved({"w": WEIGHT.to_sparse()}), "something else than a dense tensor"),
    "masks of biases alone": (saved({"fc": {"bias": torch.tensor([0.0, 1.0])}}), "masks biases alone"),
    "a parameter twice": (saved({"w": MASK.int(), "module.w": MASK.int()}), "names a parameter twice"),
    "numbers": (saved({"a": 3}), "holds no masks in any of the formats"),
    "text": (written(b"hello"), "is in none of the formats"),
    "nothing": (written(b""), "is in none of the formats"),
    "half an archive": (written(b"PK\x03\x04 and then nothing"), "is a truncated archive"),
    "columns out of range": (saved(rows(col_indices=[0, 2])), "rows and columns of w do not fit"),
    "columns that fall": (saved(rows(crow_indices=[0, 2, 2], col_indices=[1, 0])), "do not increase"),
    "rows that fall": (saved(rows(crow_indices=[0, 3, 2])), "rows and columns of w do not fit"),
    "too few values": (saved(rows(values=[1.0])), "indices of w do not match its values"),
    "rows of nothing": (saved(rows(shape=[2, 0])), "sparse weight of shape"),
    "rows of floats": (saved(rows(crow_indices=[0.0, 1.0, 2.0])), "rows and columns of w do not fit"),
    "a shape of floats": (saved(rows(shape=[2.0, 2.0])), "a shape that is none"),
    "rows that stand for billions": (
        saved(rows(shape=[2, 2**40])),
        "stands for 2199023255552 weights, but holds",
    ),
    "an onnx of billions": (written(onnx_model(sparse([2**20, 2**20], [0, 1]))), "stands for 1099511627776 weights"),
    "a negative shape": (written(onnx_model(sparse([-2, -2], [0, 1]))), "sparse weight of shape"),
    "onnx indices out of range": (written(onnx_model(sparse([2, 2], [0, 4]))), "do not lie in its shape"),
    "onnx indices twice": (written(onnx_model(sparse([2, 2], [1, 1]))), "do not increase"),
    "onnx values elsewhere": (
        written(onnx_model(sparse([2, 2], [0], data_location=onnx.TensorProto.EXTERNAL))),
        "in another file",
    ),
    "onnx values of text": (written(onnx_model(sparse([2, 2], [0], data_type=8))), "in a type that is not read"),
    "an onnx weight twice": (written(onnx_model(sparse([2, 2], [0]), sparse([2, 2], [1]))), "stands twice"),
    "an onnx of empty nodes": (empty_entries(7, 1), "has more than 300,000 entries"),
    "an onnx of empty tensors": (empty_entries(7, 5), "has more than 300,000 entries"),
    "an onnx tensor of empty entries": (empty_entries(7, 5, 13), "has more than 300,000 entries"),
    "an onnx index of empty entries": (empty_entries(7, 15, 2, 13), "has more than 300,000 entries"),
    "onnx metadata of empty entries": (empty_entries(14), "has more than 300,000 entries"),
    "a dense onnx": (written(onnx_model()), "is dense"),
    "a broken onnx": (written(b"\x08\x08\x3a\xff\xff\xff\xff"), "not a readable ONNX model"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused_in_one_line_and_within_a_second(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    write, message = BAD[what]
    write(tmp_path / "bad.pt")
    start = time.process_time()
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path / "bad.pt")
    assert time.process_time() - start < 1
    assert str(caught.value).startswith(f"{tmp_path / 'bad.pt'}: ") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 and os.listdir(tmp_path) == ["bad.pt"]


MEMORY = """
import resource, sys
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats import read
import fullspectrum.models.formats.reading, onnx
from pathlib import Path

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read(path)
    except InputError:
        continue
    raise SystemExit(f"{path} was read")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_bad_file_takes_much_memory(tmp_path):
    for number, (write, _) in enumerate(BAD.values()):
        write(tmp_path / f"{number}.pt")
    paths = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run([sys.executable, "-c", MEMORY, *paths], check=True, capture_output=True, text=True)
    # Kilobytes, of all files together.
    assert int(done.stdout) < 200_000


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_format_is_refused_by_every_format(tmp_path, name):
    for other, content in FOREIGN.items():
        # A mask by name is one for each of three trainers, and anything that is not 0 is a mask for a state dict.
        if name in (other, "open-lth", "ramanujan", "itop", "state-dict"):
            continue
        with pytest.raises(InputError, match="a.pt"):
            read(torch_saved(tmp_path / "a.pt", content), name)


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match=str(path)):
            recognise(path)
