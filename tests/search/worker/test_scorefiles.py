"""Scores on disk: computed once for all workers, again where they cannot be read, by another where a worker dies."""

import math
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from fullspectrum.models.training import Diverged
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.resumable.training import LeaveRequested
from fullspectrum.search.worker.scorefiles import ScoreFiles

SCORES = {"layer.weight": np.arange(6.0).reshape(2, 3)}

SPAWN = multiprocessing.get_context("spawn")


def never(checkpoints: Path):
    raise AssertionError("computed again")


def slowly(folder: Path, number: int) -> None:
    """A worker that takes some time, and says that it computed."""

    def compute(checkpoints: Path):
        (folder / f"computed-{number}").touch()
        time.sleep(0.5)
        return SCORES

    assert np.array_equal(ScoreFiles(StudyFolder(folder)).get("key", compute)["layer.weight"], SCORES["layer.weight"])


def for_ever(folder: Path) -> None:
    def compute(checkpoints: Path):
        checkpoints.mkdir(parents=True)
        (checkpoints / "progress").touch()
        time.sleep(600)

    ScoreFiles(StudyFolder(folder)).get("key", compute)


def test_they_are_read_where_they_were_computed(tmp_path):
    files = ScoreFiles(StudyFolder(tmp_path))
    files.get("key", lambda checkpoints: SCORES)
    assert np.array_equal(files.get("key", never)["layer.weight"], SCORES["layer.weight"])
    assert files.get("key", never)["layer.weight"].dtype == np.float64
    with pytest.raises(AssertionError, match="again"):
        files.get("another key", never)


def test_scores_that_cannot_be_read_are_computed_again(tmp_path, capsys):
    files = ScoreFiles(StudyFolder(tmp_path))
    files.get("key", lambda checkpoints: SCORES)
    (file,) = StudyFolder(tmp_path).scores.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-8] + bytes(8))
    assert np.array_equal(files.get("key", lambda checkpoints: SCORES)["layer.weight"], SCORES["layer.weight"])
    assert "computed again" in capsys.readouterr().err


def test_a_training_that_diverged_does_so_once(tmp_path):
    def diverging(checkpoints: Path):
        raise Diverged(30, math.inf)

    files = ScoreFiles(StudyFolder(tmp_path))
    for compute in (diverging, never):
        with pytest.raises(Diverged, match="diverged at iteration 30: the loss is inf"):
            files.get("key", compute)
    files.get("another key", lambda checkpoints: SCORES)


@pytest.mark.timeout(120)
def test_workers_that_need_the_same_scores_at_once_compute_them_once(tmp_path):
    workers = [SPAWN.Process(target=slowly, args=(tmp_path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(list(tmp_path.glob("computed-*"))) == 1


@pytest.mark.timeout(120)
def test_after_the_death_of_a_worker_the_next_one_goes_on_from_its_checkpoints(tmp_path):
    worker = SPAWN.Process(target=for_ever, args=(tmp_path,))
    worker.start()
    while not list(tmp_path.rglob("progress")):
        time.sleep(0.05)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    found = []
    ScoreFiles(StudyFolder(tmp_path)).get("key", lambda checkpoints: found.extend(checkpoints.iterdir()) or SCORES)
    assert [path.name for path in found] == ["progress"]
    assert not list(tmp_path.rglob("progress")), "its checkpoints go when the scores are there"


@pytest.mark.timeout(120)
def test_a_worker_that_waits_leaves_when_it_is_asked_to(tmp_path):
    worker = SPAWN.Process(target=for_ever, args=(tmp_path,))
    worker.start()
    try:
        while not list(tmp_path.rglob("progress")):
            time.sleep(0.05)
        StudyFolder(tmp_path).leave.touch()
        with pytest.raises(LeaveRequested):
            ScoreFiles(StudyFolder(tmp_path)).get("key", never)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
