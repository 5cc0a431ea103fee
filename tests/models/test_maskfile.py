import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from fullspectrum.models import files
from fullspectrum.models.errors import InputError
from fullspectrum.models.masks import FORMAT_VERSION, MaskSet
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

NAMES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
NAMES = NAMES.filter(lambda name: ".." not in name and name != "__metadata__" and name.isprintable())
MASKS = st.dictionaries(NAMES, hnp.arrays(bool, hnp.array_shapes(max_dims=4, max_side=5)), min_size=1, max_size=4)
METADATA = st.dictionaries(st.sampled_from(["study", "model", "seed", "note"]), st.text(st.characters(codec="utf-8")))


@pytest.fixture
def saved(tmp_path) -> Path:
    """Two masks of 6 and 9 weights: the packed bits of both end in padding."""
    masks = MaskSet({"conv.weight": np.eye(2, 3), "fc.weight": np.eye(3)}, {"seed": "3", "model": "tiny"})
    return masks.save(tmp_path / "mask.safetensors")


def rewrite(path: Path, change, data: bytes | None = None) -> Path:
    """Pass the header through `change` (a dict in place, or text to text) and write the file again."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    result = change(header)
    text = (result if isinstance(result, str) else json.dumps(header)).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + (raw[start:] if data is None else data))
    return path


def change_shapes(path: Path, shapes: object) -> Path:
    return rewrite(path, lambda header: header["__metadata__"].update(shapes=json.dumps(shapes)))


@given(MASKS, METADATA)
def test_saving_and_loading_gives_back_masks_order_and_metadata(tmp_path_factory, masks, metadata):
    path = tmp_path_factory.mktemp("masks") / "mask.safetensors"
    original = MaskSet(masks, metadata)
    original.save(path)
    loaded = MaskSet.load(path)
    assert loaded == original and list(loaded) == list(original) and loaded.metadata == metadata
    content = path.read_bytes()
    assert loaded.save(path).read_bytes() == content


def test_any_safetensors_reader_sees_packed_bits_and_described_metadata(saved):
    with safetensors.safe_open(saved, "numpy") as file:
        metadata = file.metadata()
        # Little bit order: identity rows 100, 010, 001 are the bits 0, 4 and 8.
        assert file.get_tensor("fc.weight").tolist() == [0b00010001, 0b1]
        assert file.get_tensor("fc.weight").dtype == np.uint8
    assert (metadata["format"], metadata["version"]) == ("fullspectrum-masks", FORMAT_VERSION)
    assert json.loads(metadata["shapes"]) == {"conv.weight": [2, 3], "fc.weight": [3, 3]}
    assert json.loads(metadata["sparsity"]) == {"conv.weight": 4 / 6, "fc.weight": 6 / 9}
    assert metadata["digest"] == MaskSet.load(saved).digest()
    assert (metadata["seed"], metadata["model"]) == ("3", "tiny")


SAVE = """
import sys, numpy as np
from fullspectrum.models.masks import MaskSet
metadata = {key: key for key in ("study", "model", "data", "input", "classes", "source", "allocation", "seed")}
MaskSet({"b.weight": np.eye(5), "a.weight": np.eye(3)}, metadata).save(sys.argv[1])
"""


def test_files_are_the_same_bytes_in_every_process(tmp_path):
    contents = set()
    for seed in ("0", "1", "2"):
        path = tmp_path / seed
        subprocess.run([sys.executable, "-c", SAVE, path], env={**os.environ, "PYTHONHASHSEED": seed}, check=True)
        contents.add(path.read_bytes())
    assert len(contents) == 1


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"ray", "optuna", "mlflow", "torchvision", "sklearn", "scipy", "pandas", "PIL"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
import fullspectrum.models.masks as masks
masks.MaskSet.load(sys.argv[1])
"""


def test_trainers_read_masks_without_the_search_installed(saved):
    subprocess.run([sys.executable, "-c", BLOCKED, saved], check=True)


def test_truncation_anywhere_is_noticed(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(InputError, match="mask.safetensors"):
            MaskSet.load(saved)


def test_bytes_behind_the_end_are_noticed(saved):
    saved.write_bytes(saved.read_bytes() + b"\0")
    with pytest.raises(InputError, match="declared"):
        MaskSet.load(saved)


def test_a_flipped_bit_in_the_masks_is_noticed(saved):
    content = saved.read_bytes()
    for bit in range(3 * 8):
        changed = bytearray(content)
        changed[-3 + bit // 8] ^= 1 << bit % 8
        saved.write_bytes(changed)
        with pytest.raises(InputError, match="corrupted"):
            MaskSet.load(saved)


def test_a_flipped_bit_in_the_header_never_changes_the_masks(saved):
    content = saved.read_bytes()
    original = MaskSet.load(saved)
    for position in range(len(content) - 3):
        changed = bytearray(content)
        changed[position] ^= 1
        saved.write_bytes(changed)
        try:
            # The caller's metadata and the padding are all that may change unnoticed.
            assert MaskSet.load(saved) == original
        except InputError as error:
            assert "\n" not in str(error) and "mask.safetensors" in str(error)


def test_bits_set_in_the_padding_are_refused(saved):
    content = bytearray(saved.read_bytes())
    content[-1] |= 0b10
    saved.write_bytes(content)
    with pytest.raises(InputError, match="behind the end of 'fc.weight'"):
        MaskSet.load(saved)


def test_a_huge_header_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "mask.safetensors"
    with path.open("wb") as file:
        file.write((100_000_000).to_bytes(8, "little"))
        file.truncate(100_000_100)
    with pytest.raises(InputError, match="at most 1000000"):
        MaskSet.load(path)


def test_repeated_keys_are_refused(saved):
    def repeat(header):
        text = json.dumps(header)
        return text[:-1] + ', "fc.weight": ' + json.dumps(header["fc.weight"]) + "}"

    with pytest.raises(InputError, match="'fc.weight' stands twice"):
        MaskSet.load(rewrite(saved, repeat))


def test_repeated_keys_in_the_shapes_are_refused(saved):
    shapes = '{"conv.weight": [2, 3], "fc.weight": [3, 3], "fc.weight": [3, 3]}'
    with pytest.raises(InputError, match="stands twice"):
        MaskSet.load(rewrite(saved, lambda header: header["__metadata__"].update(shapes=shapes)))


def test_names_that_lead_out_of_a_folder_are_refused(tmp_path):
    path = MaskSet({"harmless_x": [1]}).save(tmp_path / "mask.safetensors")
    path.write_bytes(path.read_bytes().replace(b"harmless_x", b"../../../x"))
    with pytest.raises(InputError):
        MaskSet.load(path)


def test_shapes_far_larger_than_the_file_are_refused_without_taking_memory(saved):
    with pytest.raises(InputError, match="'conv.weight' do not match its shape"):
        MaskSet.load(change_shapes(saved, {"conv.weight": [2**20, 2**10], "fc.weight": [3, 3]}))
    with pytest.raises(InputError, match="more than 4294967296 weights"):
        MaskSet.load(change_shapes(saved, {"conv.weight": [2**40, 2**40], "fc.weight": [3, 3]}))


@pytest.mark.parametrize(
    "shapes",
    [
        None,
        [],
        {},
        {"conv.weight": [2, 3]},
        {"conv.weight": [2, 3], "fc.weight": [-3, -3]},
        {"conv.weight": [2, 3], "fc.weight": 9},
        {"conv.weight": [2, 3], "fc.weight": [9.0]},
        {"conv.weight": [2, 3], "fc.weight": [True, 9]},
        {"conv.weight": [2, 3], "fc.weight": []},
        {"conv.weight": [2, 3], "fc.weight": [1] * 40},
        {"conv.weight": [2, 3], "fc.weight": [25]},
    ],
)
def test_shapes_that_are_none_or_do_not_match_are_refused(saved, shapes):
    with pytest.raises(InputError, match="mask.safetensors"):
        MaskSet.load(change_shapes(saved, shapes))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "U8", "shape": [2]},
        {"dtype": "XX", "shape": [2], "data_offsets": [1, 3]},
        {"dtype": ["U8"], "shape": [2], "data_offsets": [1, 3]},
        {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
        {"dtype": "U8", "shape": [2], "data_offsets": [3, 1]},
        {"dtype": "U8", "shape": [-2], "data_offsets": [1, 3]},
        {"dtype": "U8", "shape": [2], "data_offsets": [1, 3, 5]},
        {"dtype": "U8", "shape": [2**33], "data_offsets": [1, 1 + 2**33]},
        {"dtype": "I8", "shape": [2], "data_offsets": [1, 3]},
        {"dtype": "U8", "shape": [2, 1], "data_offsets": [1, 3]},
        [],
    ],
)
def test_tensor_declarations_that_are_inconsistent_are_refused(saved, entry):
    with pytest.raises(InputError, match="mask.safetensors"):
        MaskSet.load(rewrite(saved, lambda header: header.update({"fc.weight": entry})))


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"a": NaN}', '{"__metadata__": {"format": 3}}', "[" * 100_000])
def test_headers_that_are_no_object_of_objects_are_refused(saved, text):
    with pytest.raises(InputError, match="mask.safetensors"):
        MaskSet.load(rewrite(saved, lambda header: text))


def test_a_later_version_is_refused_with_both_versions_named(saved):
    with pytest.raises(InputError, match="version '2', this release reads '1'"):
        MaskSet.load(rewrite(saved, lambda header: header["__metadata__"].update(version="2")))


def test_other_safetensors_files_are_no_mask_files(tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file({"fc.weight": np.ones(3)}, path)
    with pytest.raises(InputError, match="not a mask file"):
        MaskSet.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip archive, perhaps a .pt file", b"\x93NUMPY" + bytes(100)])
def test_files_of_other_kinds_are_no_mask_files(tmp_path, content):
    path = tmp_path / "mask.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="mask.pt"):
        MaskSet.load(path)


def test_missing_files_folders_and_pipes_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent", ".", "pipe"):
        with pytest.raises(InputError):
            MaskSet.load(tmp_path / name)


def test_a_symbolic_link_is_never_written_through(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match="symbolic link"):
        MaskSet({"w": [1]}).save(tmp_path / "link")
    assert target.read_text() == "precious"


def test_a_dangling_symbolic_link_is_refused_too(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        MaskSet({"w": [1]}).save(tmp_path / "link")


def test_folders_and_missing_parents_are_refused_as_targets(tmp_path):
    for path in (tmp_path, tmp_path / "absent" / "mask.safetensors"):
        with pytest.raises(InputError, match="folder"):
            MaskSet({"w": [1]}).save(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InputError, match="No space"):
        MaskSet({"w": [1]}).save(saved)
    assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]


def test_metadata_that_no_reader_would_accept_are_not_written(tmp_path):
    with pytest.raises(InputError, match="header"):
        MaskSet({"w": [1]}, {"note": "x" * 1_000_000}).save(tmp_path / "mask.safetensors")
    assert not os.listdir(tmp_path)
