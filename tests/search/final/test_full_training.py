"""Full training: P1 and P2, whatever becomes of its worker or its driver it ends once, as if nothing had happened."""

import errno
import os
import signal
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import torch
from fullspectrum.clusters.connection import connect
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import build, initial_state
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.final import check
from fullspectrum.search.final import training as final
from fullspectrum.search.final.training import Entry, checkpoint_folder, train_all, train_entries, train_fully
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.store.checkpoint import Checkpoints, last_attempt
from fullspectrum.search.store.ledger import FinalRecord
from fullspectrum.search.worker.resumable import Left

from ..conftest import tiny_study

# 1,079 images make 16 batches of 64 an epoch, after each of which accuracy is measured.
STUDY = tiny_study("final.epochs=3", "faults.checkpoint_seconds=0", "faults.retries=1")
ENDS = [16, 32, 48]
DENSE = Entry("dense", None, {"learning_rate": 0.05})


def trained(digits, **more) -> list[dict]:
    """What a full training yields, in this process."""
    model = build(STUDY.model, digits.task, STUDY.seed)
    return list(train_fully(STUDY, digits, model, None, STUDY.training.recipe(DENSE.proposed), "cpu", **more))


@pytest.fixture(scope="module")
def threads():
    """A worker bounds itself to one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(STUDY.resources.cpus)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(digits, threads) -> list[dict]:
    """What the training that nobody disturbs yields."""
    found = trained(digits)
    assert [result["training/iterations"] for result in found] == [*ENDS, ENDS[-1]]
    assert found[-1]["outcome"] == "finished" and found[-1]["accuracy/val_final"] == found[-2]["accuracy/val_final"]
    return found


class Killed(BaseException):
    """Stands for a SIGKILL."""


# Of the checkpoints of 10, 16, 26, 32, 42 and 48 iterations: inside an epoch, at the end of one, and at the very end.
@pytest.mark.parametrize("saves", [1, 2, 3, 6])
def test_cut_after_any_checkpoint_it_yields_what_it_would_have_yielded(digits, whole, tmp_path, saves):
    class Cut(Checkpoints):
        left = count(saves - 1, -1)

        def save(self, state):
            path = super().save(state)
            if next(self.left) == 0:
                raise Killed
            return path

    with pytest.raises(Killed):
        trained(digits, checkpoints=Cut(tmp_path / "checkpoints"))
    assert trained(digits, checkpoints=Checkpoints(tmp_path / "checkpoints", 2)) == whole


def test_asked_to_leave_it_leaves_and_goes_on_later(digits, whole, tmp_path):
    leave, checkpoints = tmp_path / "leave", Checkpoints(tmp_path / "checkpoints")
    model = build(STUDY.model, digits.task, STUDY.seed)
    recipe = STUDY.training.recipe(DENSE.proposed)
    results = train_fully(STUDY, digits, model, None, recipe, "cpu", checkpoints=checkpoints, leave=leave)
    assert next(results) == whole[0]
    leave.touch()
    with pytest.raises(Left):
        next(results)
    leave.unlink()
    assert trained(digits, checkpoints=checkpoints, leave=leave) == whole


def test_a_worker_that_cannot_write_says_so(digits, threads, tmp_path):
    class Full(Checkpoints):
        def save(self, state):
            raise InputError("cannot write") from OSError(errno.ENOSPC, "No space left on device")

    state = initial_state(build(STUDY.model, digits.task, STUDY.seed))
    task = final._train_remotely._function
    full = Full(tmp_path / "checkpoints")
    assert list(task(STUDY, digits, state, DENSE, full, tmp_path / "leave")) == [{"broken": "No space left on device"}]


@pytest.fixture(scope="module")
def shared(digits):
    """Data and initial weights in Ray's object store."""
    with connect():
        yield ray.put(digits), ray.put(initial_state(build(STUDY.model, digits.task, STUDY.seed)))


class Asked:
    """A drain without signals."""

    def __init__(self):
        self.asked = self.overdue = False

    def ask(self, reason: str) -> None:
        self.asked, self.reason = True, reason


class Workers:
    """Has the workers write their process ids to `pids`, then `begin`, and wait with each result for the file `go`."""

    def __init__(self, monkeypatch, folder: Path, begin=lambda: None):
        self.pids, self.go = folder / "pids", folder / "go"
        pids, go, train = self.pids, self.go, final._train_remotely._function

        @ray.remote(max_retries=0)
        def watched(*arguments):
            with pids.open("a") as file:
                print(os.getpid(), file=file)
            begin()
            for result in train(*arguments):
                yield result
                while not go.exists():
                    time.sleep(0.01)

        monkeypatch.setattr(final, "_train_remotely", watched)

    def seen(self) -> list[int]:
        return [int(pid) for pid in self.pids.read_text().split()]


@pytest.mark.timeout(120)
def test_a_killed_worker_costs_no_result_and_changes_none(shared, whole, tmp_path, monkeypatch):
    workers, folder, found = Workers(monkeypatch, tmp_path), StudyFolder(tmp_path), []
    for entry, result in train_entries(STUDY, [DENSE], *shared, folder, Asked()):
        assert entry is DENSE
        if not found:
            os.kill(*workers.seen(), signal.SIGKILL)
            workers.go.touch()
        found.append(result)
    assert found == whole
    assert len(set(workers.seen())) == 2
    assert last_attempt(checkpoint_folder(folder, DENSE)) == 2


@pytest.mark.timeout(120)
def test_a_worker_that_always_dies_is_given_up_after_the_retries(shared, tmp_path, monkeypatch):
    workers = Workers(monkeypatch, tmp_path, begin=lambda: os.kill(os.getpid(), signal.SIGKILL))
    ((entry, result),) = train_entries(STUDY, [DENSE], *shared, StudyFolder(tmp_path), Asked())
    assert entry is DENSE and result["outcome"] == "failed"
    assert result["reason"].startswith("its worker died (")
    assert len(workers.seen()) == 1 + STUDY.faults.retries


def test_progress_makes_up_for_workers_that_died(tmp_path):
    training = final._Training(DENSE, tmp_path)
    for iteration in range(1, 4):
        assert training.new({"training/iterations": iteration})
        assert training.died(ray.exceptions.WorkerCrashedError(), retries=1) is None
        # What the next worker tells again is none.
        assert not training.new({"training/iterations": iteration})
    assert training.died(ray.exceptions.WorkerCrashedError(), retries=1)["outcome"] == "failed"


@pytest.mark.timeout(120)
def test_what_a_worker_raises_itself_is_told_and_not_tried_again(shared, tmp_path, monkeypatch):
    def begin():
        raise ValueError("no such thing.")

    workers = Workers(monkeypatch, tmp_path, begin)
    ((_, result),) = train_entries(STUDY, [DENSE], *shared, StudyFolder(tmp_path), Asked())
    assert result == {"outcome": "failed", "reason": "ValueError: no such thing"}
    assert len(workers.seen()) == 1


@pytest.mark.timeout(120)
def test_asked_to_end_the_workers_leave_and_another_driver_goes_on(shared, whole, tmp_path, monkeypatch):
    workers, folder, drain, found = Workers(monkeypatch, tmp_path), StudyFolder(tmp_path), Asked(), []
    for _, result in train_entries(STUDY, [DENSE], *shared, folder, drain):
        found.append(result)
        folder.leave.touch()
        drain.ask("Ctrl-C")
        workers.go.touch()
    assert found == whole[:1]
    # Nothing is trained while the marker is there.
    assert list(train_entries(STUDY, [DENSE], *shared, folder, Asked())) == []
    assert Checkpoints(checkpoint_folder(folder, DENSE)).load()["iteration"] == ENDS[0]
    folder.leave.unlink()
    assert [result for _, result in train_entries(STUDY, [DENSE], *shared, folder, Asked())] == whole


@pytest.mark.timeout(120)
def test_nobody_is_waited_for_after_the_grace_period(shared, tmp_path):
    drain = Asked()
    drain.overdue = True
    assert list(train_entries(STUDY, [DENSE], *shared, StudyFolder(tmp_path), drain)) == []


@pytest.mark.timeout(120)
def test_a_worker_that_cannot_write_ends_the_search_and_not_its_entry(shared, tmp_path, monkeypatch):
    @ray.remote(max_retries=0)
    def breaks(*_):
        yield {"broken": "No space left on device"}

    drain = Asked()
    monkeypatch.setattr(final, "_train_remotely", breaks)
    assert list(train_entries(STUDY, [DENSE], *shared, StudyFolder(tmp_path), drain)) == []
    assert drain.reason == "No space left on device"


class Told:
    """Stands for the ledger, the record and the progress: what each was told, in order."""

    def __init__(self, *records: FinalRecord):
        self.records, self.events = list(records), []

    def finals(self):
        return list({record.label: record for record in self.records}.values())

    def record_final(self, record):
        self.records.append(record)

    def start_baseline(self, label, *_):
        self.events.append(f"start {label}")

    def final_progress(self, label, accuracy, iteration):
        self.events.append(f"{label} {accuracy} at {iteration}")

    def end_final(self, label, result):
        # The ledger comes first.
        assert label in {record.label for record in self.records}
        self.events.append(f"end {label} {result['outcome']} {result.get('accuracy/final')}")

    def finals_started(self, total):
        self.events.append(f"{total} to go")

    def final_result(self, *_):
        pass


def test_every_end_stands_in_the_ledger_and_only_what_failed_is_trained_again(tmp_path, monkeypatch):
    folder, told, asked = StudyFolder(tmp_path), Told(), []
    entries = [Entry(label, None, {}) for label in ("trial 3", "dense", "erk-random")]
    finished = {"outcome": "finished", "accuracy/val_final": 0.5, "accuracy/final": 0.25, "training/iterations": 48}
    diverged = {"training/iterations": 7, "reason": "the loss is nan"}
    ends = {
        "trial 3": finished,
        "dense": {"outcome": "diverged"} | diverged,
        "erk-random": {"outcome": "failed", "reason": "its worker died"},
    }

    def train(study, entries, data, state, folder, drain):
        asked.append([entry.label for entry in entries])
        for entry in entries:
            yield entry, {"accuracy/val_final": 0.5, "training/iterations": 16}
            yield entry, ends[entry.label]

    monkeypatch.setattr(final, "train_entries", train)

    def run():
        for entry in entries:
            Checkpoints(checkpoint_folder(folder, entry)).save({"iteration": 16})
        told.events.clear()
        train_all(STUDY, entries, None, None, told, told, told, folder, Asked())

    run()
    assert told.records == [
        FinalRecord("trial 3", Outcome.FINISHED, 0.5, 0.25, {"training": {}, "training/iterations": 48}),
        FinalRecord(
            "dense",
            Outcome.DIVERGED,
            None,
            None,
            {"training": {}, "training/iterations": 7, "reason": "the loss is nan"},
        ),
        FinalRecord("erk-random", Outcome.FAILED, None, None, {"training": {}, "reason": "its worker died"}),
    ]
    left = [checkpoint_folder(folder, entry).exists() for entry in entries]
    assert left == [False, False, True]
    # The next driver does not know whether the record was told of the ends.
    ends["erk-random"] = finished
    run()
    assert asked == [["trial 3", "dense", "erk-random"], ["erk-random"]]
    assert told.events == [
        "end trial 3 finished 0.25",
        "start dense",
        "end dense diverged None",
        "start erk-random",
        "1 to go",
        "erk-random 0.5 at 16",
        "end erk-random finished 0.25",
    ]
    assert not any(checkpoint_folder(folder, entry).exists() for entry in entries)


def test_repetitions_have_checkpoints_of_their_own(tmp_path):
    entries = [Entry("mask", None, {}, repeat=repeat) for repeat in range(3)] + [Entry("trial 3", None, {})]
    assert len({checkpoint_folder(StudyFolder(tmp_path), entry) for entry in entries}) == 4


@pytest.mark.parametrize(("ask", "error"), [(signal.SIGINT, KeyboardInterrupt), (None, InputError)])
def test_a_check_that_is_ended_early_is_over_and_leaves_no_checkpoints(tmp_path, monkeypatch, ask, error):
    def train(study, entries, data, state, folder, drain):
        Checkpoints(checkpoint_folder(folder, DENSE)).save({"iteration": 16})
        yield DENSE, {"accuracy/val_final": 0.5, "training/iterations": 16}
        signal.raise_signal(ask) if ask else drain.ask("No space left on device")

    monkeypatch.setattr(check, "train_entries", train)
    monkeypatch.setattr(check, "_entries", lambda *_: ([DENSE], {}))
    monkeypatch.setattr(check.ray, "put", lambda value: value)
    bench = SimpleNamespace(study=STUDY, data=SimpleNamespace(splits={"test": []}))
    record = SimpleNamespace(start=lambda entry: None, result=lambda entry, result: None)
    # Whatever this process inherited: in the background of a shell, Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(error):
            check.run_check(bench, None, {}, 1, tmp_path, record)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(tmp_path.iterdir())
