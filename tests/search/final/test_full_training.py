"""Full training: P1 and P2, whatever becomes of its worker or its driver it ends once, as if nothing had happened."""

import errno
import os
import signal
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray
import torch
from fullspectrum.clusters.connection import connect
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats import export
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.weights import load_state
from fullspectrum.search.driver.running import RunningSearch
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.final import check
from fullspectrum.search.final import training as final
from fullspectrum.search.final.baselines import shuffled
from fullspectrum.search.final.full import FullTraining, train_fully
from fullspectrum.search.final.sanity import SanityCheck
from fullspectrum.search.final.training import checkpoint_folder, train_all, train_entries
from fullspectrum.search.protocol import label
from fullspectrum.search.protocol.events import Listener, Listeners
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.report import StorageFailed
from fullspectrum.search.protocol.training import (
    CoordinateProgress,
    Entry,
    TrainingEnd,
    TrainingProgress,
    TrainingReport,
)
from fullspectrum.search.resumable.checkpoints import Checkpoints, last_attempt
from fullspectrum.search.resumable.training import LeaveRequested
from fullspectrum.search.store.records import FinalRecord
from fullspectrum.search.worker.shared import SharedInputs

from ..conftest import tiny_study

# 1,079 images make 16 batches of 64 an epoch, after each of which accuracy is measured.
STUDY = tiny_study("final.epochs=3", "faults.checkpoint_seconds=0", "faults.retries=1")
ENDS = [16, 32, 48]
DENSE = Entry(label.DENSE, None, {"learning_rate": 0.05})
FULL = FullTraining.of(STUDY, DENSE.training)


def trained(digits, **more) -> list[TrainingReport]:
    """What a full training yields, in this process."""
    model = build(STUDY.model, digits.task, STUDY.seed)
    return list(train_fully(model, None, digits, FULL, **more))


@pytest.fixture(scope="module")
def threads():
    """A worker bounds itself to one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(STUDY.resources.cpus)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(digits, threads) -> list[TrainingReport]:
    """What the training that nobody disturbs yields."""
    found = trained(digits)
    assert [report.iteration for report in found] == [*ENDS, ENDS[-1]]
    assert found[-1].outcome is Outcome.FINISHED and found[-1].accuracy_val == found[-2].accuracy_val
    return found


@pytest.mark.parametrize(
    ("iterations", "epochs", "measured"),
    [
        (None, 3, [16, 32, 48]),
        (None, 40, list(range(32, 641, 32))),
        # A length of its own: at the ends of epochs, and at the last iteration.
        (40, 3, [16, 32, 40]),
        (48, 3, [16, 32, 48]),
        (9, 3, [9]),
        (655, 3, [*range(32, 655, 32), 655]),
    ],
)
def test_a_training_is_measured_at_the_ends_of_about_twenty_epochs_and_at_its_end(iterations, epochs, measured):
    assert replace(FULL, iterations=iterations, epochs=epochs).measured_at(per_epoch=16) == measured


def test_a_training_of_its_own_length_has_a_schedule_of_that_length(digits, threads):
    def end(full: FullTraining) -> TrainingReport:
        *_, last = train_fully(build(STUDY.model, digits.task, STUDY.seed), None, digits, full)
        return last

    entry = Entry(label.ERK_RANDOM_EQUAL_COST, None, DENSE.training, iterations=16)
    ended = end(FullTraining.of(STUDY, entry.training, entry.repeat, entry.iterations))
    assert ended.iteration == 16
    # As that of a study with as many epochs, and not the beginning of a longer one.
    assert ended == end(replace(FULL, epochs=1))


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
    results = train_fully(model, None, digits, FULL, checkpoints, leave)
    assert next(results) == whole[0]
    leave.touch()
    with pytest.raises(LeaveRequested):
        next(results)
    leave.unlink()
    assert trained(digits, checkpoints=checkpoints, leave=leave) == whole


def test_a_worker_that_cannot_write_says_so(digits, threads, tmp_path, monkeypatch):
    def full(self, state):
        raise InputError("cannot write") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Checkpoints, "save", full)
    state = initial_state(build(STUDY.model, digits.task, STUDY.seed))
    task = final._train_remotely._function
    reports = list(task(STUDY, digits, state, DENSE, StudyFolder(tmp_path), 1))
    assert reports == [StorageFailed("No space left on device")]


@pytest.fixture(scope="module")
def shared(digits):
    """Data and initial weights in Ray's object store."""
    with connect():
        yield SharedInputs(ray.put(digits), ray.put(initial_state(build(STUDY.model, digits.task, STUDY.seed))))


class RequestedByHand:
    """A shutdown without signals."""

    def __init__(self):
        self.requested = self.overdue = False

    def request(self, reason: str) -> None:
        self.requested, self.reason = True, reason


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
    for entry, result in train_entries(STUDY, [DENSE], shared, folder, RequestedByHand()):
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
    ((entry, result),) = train_entries(STUDY, [DENSE], shared, StudyFolder(tmp_path), RequestedByHand())
    assert entry is DENSE and result.outcome is Outcome.FAILED
    assert result.reason.startswith("its worker died (")
    assert len(workers.seen()) == 1 + STUDY.faults.retries


def test_progress_makes_up_for_workers_that_died():
    attempts = final._Attempts(DENSE)
    for iteration in range(1, 4):
        assert attempts.is_new(TrainingProgress(iteration, 0.5))
        assert attempts.lost(ray.exceptions.WorkerCrashedError(), retries=1) is None
        # What the next worker reports again is none.
        assert not attempts.is_new(TrainingProgress(iteration, 0.5))
    assert attempts.lost(ray.exceptions.WorkerCrashedError(), retries=1).outcome is Outcome.FAILED


def test_the_coordinate_comes_after_the_accuracy_of_its_iteration_and_the_next_worker_tells_neither_again():
    start, accuracy, coordinate = (
        CoordinateProgress(0, {"l2": 1.0}),
        TrainingProgress(16, 0.5),
        CoordinateProgress(16, {"l2": 2.0}),
    )
    attempts = final._Attempts(DENSE)
    for known in range(1, 4):
        seen = [attempts.is_new(report) for report in (start, accuracy, coordinate)[:known]]
        assert seen == [False] * (known - 1) + [True]
    assert not attempts.is_new(coordinate)


@pytest.mark.timeout(120)
def test_what_a_worker_raises_itself_is_told_and_not_tried_again(shared, tmp_path, monkeypatch):
    def begin():
        raise ValueError("no such thing.")

    workers = Workers(monkeypatch, tmp_path, begin)
    ((_, result),) = train_entries(STUDY, [DENSE], shared, StudyFolder(tmp_path), RequestedByHand())
    assert result == TrainingEnd(Outcome.FAILED, reason="ValueError: no such thing")
    assert len(workers.seen()) == 1


@pytest.mark.timeout(120)
def test_asked_to_end_the_workers_leave_and_another_driver_goes_on(shared, whole, tmp_path, monkeypatch):
    workers, folder, shutdown, found = Workers(monkeypatch, tmp_path), StudyFolder(tmp_path), RequestedByHand(), []
    for _, result in train_entries(STUDY, [DENSE], shared, folder, shutdown):
        found.append(result)
        folder.leave.touch()
        shutdown.request("Ctrl-C")
        workers.go.touch()
    assert found == whole[:1]
    # Nothing is trained while the marker is there.
    assert list(train_entries(STUDY, [DENSE], shared, folder, RequestedByHand())) == []
    assert Checkpoints(checkpoint_folder(folder, DENSE)).load()["iteration"] == ENDS[0]
    folder.leave.unlink()
    assert [result for _, result in train_entries(STUDY, [DENSE], shared, folder, RequestedByHand())] == whole


@pytest.mark.timeout(120)
def test_nobody_is_waited_for_after_the_grace_period(shared, tmp_path):
    shutdown = RequestedByHand()
    shutdown.overdue = True
    assert list(train_entries(STUDY, [DENSE], shared, StudyFolder(tmp_path), shutdown)) == []


@pytest.mark.timeout(120)
def test_a_worker_that_cannot_write_ends_the_search_and_not_its_entry(shared, tmp_path, monkeypatch):
    @ray.remote(max_retries=0)
    def breaks(*_):
        yield StorageFailed("No space left on device")

    shutdown = RequestedByHand()
    monkeypatch.setattr(final, "_train_remotely", breaks)
    assert list(train_entries(STUDY, [DENSE], shared, StudyFolder(tmp_path), shutdown)) == []
    assert shutdown.reason == "No space left on device"


class Ledger:
    """Stands for the ledger of full trainings."""

    def __init__(self):
        self.records: list[FinalRecord] = []

    def finals(self):
        return list({record.label: record for record in self.records}.values())

    def record_final(self, record):
        self.records.append(record)


class Heard(Listener):
    """The events of full trainings, in order."""

    hears_history = True

    def __init__(self, ledger: Ledger):
        self.ledger, self.events = ledger, []

    def training_opened(self, entry, again):
        self.events.append(f"open {entry.label}" + (" again" if again else ""))

    def training_progressed(self, entry, progress):
        self.events.append(f"{entry.label} {progress.accuracy_val} at {progress.iteration}")

    def training_ended(self, entry, end):
        # The ledger comes first.
        assert entry.label in {record.label for record in self.ledger.records}
        self.events.append(f"end {entry.label} {end.outcome} {end.accuracy_final}")

    def trainings_started(self, entries):
        self.events.append(f"{len(entries)} to go")


def test_every_end_stands_in_the_ledger_and_only_what_failed_is_trained_again(tmp_path, monkeypatch):
    folder, ledger, asked = StudyFolder(tmp_path), Ledger(), []
    heard = Heard(ledger)
    names = label.Label.of_trial(3), label.DENSE, label.ERK_RANDOM
    entries = [Entry(name, None, cost=cost) for name, cost in zip(names, (540, 0, 0), strict=True)]
    finished = TrainingEnd(Outcome.FINISHED, 48, 0.5, 0.25)
    diverged = TrainingEnd(Outcome.DIVERGED, 7, reason="the loss is nan")
    failed = TrainingEnd(Outcome.FAILED, reason="its worker died")
    ends = dict(zip([entry.label for entry in entries], [finished, diverged, failed], strict=True))

    def train(study, entries, shared, folder, shutdown):
        asked.append([entry.label for entry in entries])
        for entry in entries:
            yield entry, TrainingProgress(16, 0.5)
            yield entry, ends[entry.label]

    monkeypatch.setattr(final, "train_entries", train)

    def run():
        for entry in entries:
            Checkpoints(checkpoint_folder(folder, entry)).save({"iteration": 16})
        heard.events.clear()
        benches = SimpleNamespace(start=SimpleNamespace(study=STUDY))
        search = RunningSearch(benches, folder, ledger, None, Listeners(heard), RequestedByHand(), None)
        train_all(search, entries)

    run()
    costs = dict(zip(ends, [540 + 48, 7, None], strict=True))
    assert ledger.records == [FinalRecord(name, end, cost=costs[name]) for name, end in ends.items()]
    left = [checkpoint_folder(folder, entry).exists() for entry in entries]
    assert left == [False, False, True]
    # The next driver does not know whether the record has the ends.
    ends[label.ERK_RANDOM] = finished
    run()
    assert asked == [["trial 3", "dense", "erk-random"], ["erk-random"]]
    assert heard.events == [
        "end trial 3 finished 0.25",
        "open dense",
        "end dense diverged None",
        "open erk-random again",
        "1 to go",
        "erk-random 0.5 at 16",
        "end erk-random finished 0.25",
    ]
    assert not any(checkpoint_folder(folder, entry).exists() for entry in entries)


def test_repetitions_have_checkpoints_of_their_own(tmp_path):
    entries = [Entry(label.Label("mask"), None, repeat=repeat) for repeat in range(3)]
    entries.append(Entry(label.Label.of_trial(3), None))
    assert len({checkpoint_folder(StudyFolder(tmp_path), entry) for entry in entries}) == 4


@pytest.mark.parametrize(("ask", "error"), [(signal.SIGINT, KeyboardInterrupt), (None, InputError)])
def test_a_check_that_is_ended_early_is_over_and_leaves_no_checkpoints(tmp_path, monkeypatch, ask, error):
    def train(study, entries, shared, folder, shutdown):
        Checkpoints(checkpoint_folder(folder, DENSE)).save({"iteration": 16})
        yield DENSE, TrainingProgress(16, 0.5)
        signal.raise_signal(ask) if ask else shutdown.request("No space left on device")

    monkeypatch.setattr(check, "train_entries", train)
    bench, folder = SimpleNamespace(study=STUDY), StudyFolder(tmp_path)
    ready = check.Check(bench, None, folder, [DENSE], SanityCheck(1, 0, {}))
    recorder = SimpleNamespace(start=lambda entry: None, result=lambda entry, result: None)
    # Whatever this process inherited: in the background of a shell, Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(error):
            ready.run(recorder, lambda label: None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(tmp_path.iterdir())


def test_the_masks_of_the_end_are_kept_with_their_weights_where_they_changed(digits, threads, tmp_path):
    study = tiny_study("final.epochs=1", 'training.mask="set"', "training.mask_every=4")
    model = build(study.model, digits.task, study.seed)
    start = shuffled(
        MaskSet({name: np.arange(w.numel()).reshape(w.shape) % 50 == 0 for name, w in prunable(model).items()}), 0
    )
    entry = Entry(label.Label.of_trial(3), start, {"learning_rate": 0.05}, ends=tmp_path)
    task = final._train_remotely._function
    *_, end = task(study, digits, initial_state(model), entry, StudyFolder(tmp_path), 1)
    ended, state = MaskSet.load(tmp_path / "end_mask.safetensors"), load_state(tmp_path / "end_weights.safetensors")
    assert end.outcome is Outcome.FINISHED and end.masks == ended != start
    assert {name: int(mask.sum()) for name, mask in ended.items()} == {n: int(m.sum()) for n, m in start.items()}
    # The weights are those that were trained under them.
    assert all(not state[name].numpy()[~mask].any() for name, mask in ended.items())
    # The export takes them for one another's.
    export("torch-prune", tmp_path / "end.pt", ended, state)
    with pytest.raises(InputError, match="not the initial weights"):
        export("torch-prune", tmp_path / "mixed.pt", ended, initial_state(model))


def test_a_fixed_mask_has_no_other_end(whole):
    assert whole[-1].masks is None
