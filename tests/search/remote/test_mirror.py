"""Two machines that share a study's files through a store, and see nothing of each other's folders."""

import pickle
import time

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.training import Diverged
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.remote import mirror
from fullspectrum.search.remote.backup import Backup, restore
from fullspectrum.search.remote.mirror import mirror_of
from fullspectrum.search.remote.scratch import VARIABLE, at_worker, begin
from fullspectrum.search.resumable.checkpoints import Checkpoints, last_attempt, next_checkpoints
from fullspectrum.search.worker.scorefiles import ScoreFiles


class Machines:
    """A driver's home and workers on other machines."""

    def __init__(self, tmp_path, monkeypatch):
        self._path, self._monkeypatch = tmp_path, monkeypatch
        self.home = Home(tmp_path / "runs").create().study("abc", f"file://{tmp_path}/store")
        self.home.path.mkdir()
        begin(self.home)

    def worker(self, name: str) -> StudyFolder:
        self._monkeypatch.setenv(VARIABLE, str(self._path / name))
        return at_worker(self.home)


@pytest.fixture
def machines(tmp_path, monkeypatch) -> Machines:
    return Machines(tmp_path, monkeypatch)


def test_without_a_store_all_machines_use_the_folder_itself(tmp_path):
    folder = StudyFolder(tmp_path / "abc")
    assert at_worker(folder) == folder.absolute
    assert mirror_of(folder).marker(folder.leave) == folder.leave


def test_another_machine_goes_on_from_the_checkpoints_of_one(machines):
    one, other = machines.worker("one"), machines.worker("other")
    assert one.path != other.path != machines.home.path
    first = Checkpoints(one.checkpoints("trial 3"), 1, mirror_of(one))
    for iteration in (10, 20, 30):
        first.save({"iteration": iteration})
    heir = Checkpoints(other.checkpoints("trial 3"), 2, mirror_of(other))
    assert [state["iteration"] for state in heir.states()] == [30, 20]
    heir.save({"iteration": 40})
    assert last_attempt(machines.home.checkpoints("trial 3"), mirror_of(machines.home)) == 2
    assert next_checkpoints(one.checkpoints("trial 3"), mirror_of(one)).load() == {"iteration": 40}
    mirror_of(machines.home).remove(machines.home.checkpoints("trial 3"))
    third = machines.worker("third")
    assert Checkpoints(third.checkpoints("trial 3"), 3, mirror_of(third)).load() is None


def test_scores_are_computed_by_one_machine_and_read_by_the_others(machines):
    scores, computed = {"fc": np.arange(3.0)}, []
    for name in ("one", "other"):
        folder = machines.worker(name)
        found = ScoreFiles(folder).get("key", lambda _: computed.append(1) or scores)
        assert np.array_equal(found["fc"], scores["fc"])
    assert len(computed) == 1


def test_of_two_machines_that_compute_the_same_scores_at_once_the_first_is_right_for_both(machines):
    one, other = machines.worker("one"), machines.worker("other")
    early, late = {"fc": np.arange(3.0)}, {"fc": np.arange(3.0) + 1e-9}

    def meanwhile(_):
        ScoreFiles(one).get("key", lambda _: early)
        return late

    assert np.array_equal(ScoreFiles(other).get("key", meanwhile)["fc"], early["fc"])


def test_a_divergence_is_known_on_other_machines(machines):
    def diverge(_):
        raise Diverged(7, float("nan"))

    with pytest.raises(Diverged):
        ScoreFiles(machines.worker("one")).get("key", diverge)
    with pytest.raises(Diverged) as caught:
        ScoreFiles(machines.worker("other")).get("key", lambda _: pytest.fail("computed again"))
    assert caught.value.iteration == 7


def test_what_an_earlier_study_of_the_same_id_left_on_a_machine_is_not_taken(machines, tmp_path):
    left = machines.worker("one")
    left.path.mkdir(parents=True)
    (left.path / "left").touch()
    assert (machines.worker("one").path / "left").exists()
    mirror_of(machines.home).remove(machines.home.path)
    machines.home.path.mkdir()
    begin(machines.home)
    assert not (machines.worker("one").path / "left").exists()


def test_a_driver_on_a_new_machine_gets_what_the_one_before_it_and_the_workers_wrote(machines, tmp_path):
    worker, home = machines.worker("one"), machines.home
    for folder, name in ((worker.trial(0), "mask"), (home.report, "table"), (worker.checkpoints("trial 1"), "file")):
        folder.mkdir(parents=True)
        (folder / name).write_text(name)
    mirror_of(worker).push(worker.trial(0), worker.checkpoints("trial 1"))
    mirror_of(home).pull_all(home.trial(0))
    assert (home.trial(0) / "mask").read_text() == "mask"
    (home.trial(0) / "picture").write_text("picture")
    for file in (home.spool, home.initial_weights, home.origins, home.settings):
        file.write_text(file.name)
    with Backup(home) as backup:
        backup.finish()
    new = Home(tmp_path / "new").create().study("abc", home.files)
    assert mirror_of(new).names(new.trials) == {"00000"}
    restore(new)
    found = {str(file.relative_to(new.path)) for file in new.path.rglob("*") if file.is_file()}
    wanted = {"trials/00000/mask", "trials/00000/picture", "report/table", "spool.jsonl", "init.safetensors"}
    # The settings may hold a password.
    assert found == wanted | {"sources.json", "begun"}
    new.spool.write_text("further")
    restore(new)
    assert new.spool.read_text() == "further"


def test_a_marker_is_seen_on_all_machines_and_by_status(machines, monkeypatch):
    monkeypatch.setattr(mirror, "_ASKED_EVERY", 0.05)
    here, folder = mirror_of(machines.home).marker(machines.home.leave), machines.worker("one")
    there = mirror_of(folder).marker(folder.leave)
    assert not there.exists()
    here.touch()
    assert machines.home.leave.exists()
    assert until(there.exists)
    assert pickle.loads(pickle.dumps(there)) is there, "a process asks once for all of its trials"
    here.unlink()
    assert until(lambda: not there.exists())


def until(reached) -> bool:
    end = time.monotonic() + 10
    while not reached() and time.monotonic() < end:
        time.sleep(0.02)
    return reached()


def test_the_folder_of_another_user_is_not_used(machines, monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(InputError, match=f"belongs to another user; name another by {VARIABLE}"):
        machines.worker("one")
