"""Checkpoints: P2, a training that is cut loses at most one interval, whatever became of the newest file."""

import errno
import os
import tempfile
from pathlib import Path

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.search.resumable.checkpoints import Checkpoints, last_attempt
from hypothesis import given, settings
from hypothesis import strategies as st


def state(iteration: int, size: int = 100) -> dict:
    weights = torch.arange(size, dtype=torch.float32) + iteration
    return {"model": {"weight": weights}, "iteration": iteration, "rates": (0.5, 0.75), "average": None}


def iterations(folder: Path) -> list[int]:
    """What can be read, the furthest first."""
    return [found["iteration"] for found in Checkpoints(folder).states()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path) -> Path:
    """Not made yet."""
    return tmp_path / "checkpoints" / "trial-3"


def test_what_is_loaded_is_what_was_saved_last(folder):
    checkpoints = Checkpoints(folder)
    assert checkpoints.load() is None
    for iteration in (10, 20):
        checkpoints.save(state(iteration))
        found = checkpoints.load()
        assert torch.equal(found["model"].pop("weight"), state(iteration)["model"].pop("weight"))
        assert found | {"model": None} == state(iteration) | {"model": None}


def test_the_newest_and_the_one_before_are_kept(folder):
    checkpoints = Checkpoints(folder)
    for iteration in (8, 9, 10, 100):
        path = checkpoints.save(state(iteration))
        assert path.parent == folder and path.exists()
    assert iterations(folder) == [100, 10]
    assert len(files(folder)) == 2


def test_cleared_nothing_is_left_and_clearing_again_is_fine(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.clear()
    checkpoints.save(state(1))
    checkpoints.clear()
    checkpoints.clear()
    assert not folder.exists()
    assert last_attempt(folder) == 0


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_bit_is_flipped_or_wherever_it_is_cut_the_one_before_is_taken(data):
    with tempfile.TemporaryDirectory() as temporary:
        checkpoints = Checkpoints(Path(temporary) / "trial-3")
        checkpoints.save(state(10))
        path = checkpoints.save(state(20))
        content = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans(), "cut"):
            path.write_bytes(content[:place])
        else:
            content[place] ^= 1 << data.draw(st.integers(0, 7))
            path.write_bytes(content)
        assert iterations(path.parent) == [10]


def test_a_broken_newest_one_is_told(folder, capsys):
    checkpoints = Checkpoints(folder)
    checkpoints.save(state(10))
    path = checkpoints.save(state(20))
    path.write_bytes(path.read_bytes() + b"more")
    assert checkpoints.load()["iteration"] == 10
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fullspectrum: warning: ") and str(path) in line and "checksum" in line


def test_where_none_can_be_read_there_is_none(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save(state(10)).write_bytes(b"")
    path = checkpoints.save(state(20))
    path.unlink()
    path.mkdir()
    assert checkpoints.load() is None


def test_code_in_a_file_whose_checksum_matches_never_runs(folder, tmp_path, capsys):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    Checkpoints(folder).save({"iteration": 10, "model": Malicious()})
    assert Checkpoints(folder).load() is None
    assert not (tmp_path / "ran").exists()
    assert capsys.readouterr().err.count("\n") == 1


def test_other_files_in_the_folder_are_nothing_to_it(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save(state(10))
    (folder / ".fullspectrum-0123.tmp").write_bytes(b"killed while it was written")
    (folder / "notes.checkpoint").write_bytes(b"")
    assert iterations(folder) == [10]
    assert last_attempt(folder) == 1


def test_an_attempt_that_was_given_up_neither_overwrites_nor_deletes_what_is_newer(folder):
    for iteration in (10, 20):
        Checkpoints(folder, 1).save(state(iteration))
    # The second one could only read the first file, and did the next interval again.
    for iteration in (15, 20):
        Checkpoints(folder, 2).save(state(iteration))
    newer = {path: path.read_bytes() for path in folder.iterdir()}
    assert len(newer) == 2 and last_attempt(folder) == 2
    zombie = Checkpoints(folder, 1)
    for iteration in (12, 15, 20, 25):
        zombie.save(state(iteration))
        assert newer.items() <= {path: path.read_bytes() for path in folder.iterdir()}.items()
    assert len(files(folder)) == 4
    # The next attempt goes on from the furthest, and takes the others with it.
    for iteration in (30, 35):
        Checkpoints(folder, 3).save(state(iteration))
    assert iterations(folder) == [35, 30]


def test_an_attempt_that_begins_anew_keeps_its_own_checkpoints_and_not_broken_ones_from_further_on(folder):
    for iteration in (100, 110):
        Checkpoints(folder, 1).save(state(iteration)).write_bytes(b"broken")
    Checkpoints(folder, 2).save(state(10))
    assert iterations(folder) == [10]
    Checkpoints(folder, 2).save(state(20))
    assert iterations(folder) == [20, 10]
    assert len(files(folder)) == 2


@pytest.mark.parametrize("size", [100, 1_000_000])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_on_a_full_disk_saving_is_refused_and_the_earlier_ones_stay(folder, monkeypatch, step, size):
    checkpoints = Checkpoints(folder)
    for iteration in (10, 20):
        checkpoints.save(state(iteration, size))
    before = {path: path.read_bytes() for path in folder.iterdir()}

    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        if step == "write":
            fdopen = os.fdopen
            # A device that is always full, in the place of the temporary file.
            patched.setattr(os, "fdopen", lambda descriptor, mode: os.close(descriptor) or fdopen(full(), mode))
        else:
            patched.setattr(os, step, refuse)
        with pytest.raises(InputError, match="No space left on device") as caught:
            checkpoints.save(state(30, size))
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    checkpoints.save(state(30, size))
    assert iterations(folder) == [30, 20]


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)
