"""A full disk under everything that a search writes."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .searches import Search

pytestmark = pytest.mark.timeout(240)

#: Room for Optuna's journal, the spool, MLflow's database and artifacts of the study, and some to be taken away.
MEGABYTES = 64


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of its own in memory, mounted at `path`."""
    path.mkdir()
    options = f"size={MEGABYTES}m,uid={os.geteuid()}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(disk: Path) -> Path:
    """Takes all the room that is left, to the last byte."""
    file = disk / "filler"
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while filler.write(b"\0" * size):
                    pass
    assert os.statvfs(disk).f_bavail == 0
    return file


def test_a_search_on_a_full_disk_stops_cleanly_and_goes_on_when_there_is_room(tmp_path, undisturbed):
    """P1, P3, P5 (fault 9): under journal, spool, database and checkpoints."""
    with small_disk(tmp_path / "disk") as disk:
        search = Search(tmp_path / "full", home=str(disk / "runs")).start()
        search.wait(lambda: any(one["iteration"] > 0 for one in search.board().get("running", [])))
        filler = fill(disk)
        out, err = search.end(status=1)
        assert "No space left on device" in err
        assert "Traceback" not in err
        assert "Go on with:" in out
        filler.unlink()
        search.start("--resume").end()
        assert search.state() == undisturbed.state()
        assert search.runs() == undisturbed.runs()
