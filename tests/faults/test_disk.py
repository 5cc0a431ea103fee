"""A full disk under everything that a search writes."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.files import Home
from fullspectrum.search.record.tracking import client_for

from .searches import Search

pytestmark = pytest.mark.timeout(240)

#: Room for Optuna's journal, the spool, MLflow's database and artifacts of the study, and some to be taken away.
MEGABYTES = 64


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int = MEGABYTES) -> Iterator[Path]:
    """A file system of its own in memory, mounted at `path`."""
    path.mkdir()
    options = f"size={megabytes}m,uid={os.geteuid()}"
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
        search.wait(lambda: any(one["iteration"] > 0 for one in search.heartbeat().get("running", [])))
        filler = fill(disk)
        out, err = search.end(status=1)
        assert "No space left on device" in err
        assert "Traceback" not in err
        assert "Go on with:" in out
        filler.unlink()
        search.start("--resume").end()
        assert search.state() == undisturbed.state()
        assert search.runs() == undisturbed.runs()


def test_a_disk_that_is_full_when_the_record_begins_leaves_no_half_of_it(tmp_path):
    """Fault 9: MLflow cannot go on with a store in which it has made some of its tables."""
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        store = Home(disk)
        (disk / "taken").write_bytes(b"\0" * 2**19)
        with pytest.raises(InputError, match="No space left on device"):
            client_for(store, None)
        assert not (disk / "mlflow.db").exists()
        (disk / "taken").unlink()
        assert client_for(store, None).search_experiments()
