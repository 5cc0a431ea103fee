"""Full training of the best masks, and of the baselines that they must beat."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray
from torch import Tensor, nn

from ...models.data import Data
from ...models.errors import InputError, first_line
from ...models.networks import build, initial_state
from ...models.weights import load_state, save_state
from ..config.study import Study
from ..files import StudyFolder, storage_failure
from ..names import Artifact
from ..process.shutdown import Shutdown
from ..protocol.outcome import Outcome
from ..protocol.report import StorageFailed
from ..protocol.training import CoordinateProgress, Entry, TrainingEnd, TrainingReport
from ..remote.mirror import Marker, mirror_of
from ..remote.scratch import at_worker
from ..resumable.checkpoints import Checkpoints, last_attempt
from ..resumable.training import LeaveRequested
from ..store.records import FinalRecord
from ..worker.device import claim_device, task_options
from ..worker.pretraining import pretrain
from ..worker.shared import SharedInputs
from .full import FullTraining, save_end, train_fully
from .trajectory import Trajectory, draw

if TYPE_CHECKING:
    # Workers import this module too, and what a driver needs takes them as long as torch does.
    from ..driver.running import RunningSearch


# Not Ray's own retries, which begin anew and report everything again.
@ray.remote(max_retries=0)
def _train_remotely(
    study: Study, data: Data, state: dict[str, Tensor], entry: Entry, folder: StudyFolder, attempt: int
) -> Iterator[TrainingReport | StorageFailed]:
    """Yield what `train_fully` does, or end without an end where it is asked to leave."""
    here = at_worker(folder)
    mirror, entry = mirror_of(here), entry.moved(folder, here)
    leave, checkpoints = mirror.marker(here.leave), Checkpoints(checkpoint_folder(here, entry), attempt, mirror)
    if leave.exists():
        return
    model = build(study.model, data.task, study.seed if entry.init_seed is None else entry.init_seed)
    if entry.init_seed is None:
        mirror.pull(*filter(None, [entry.weights]))
        model.load_state_dict(state if entry.weights is None else load_state(entry.weights))
    model = model.to(claim_device(study.resources))
    try:
        if entry.init_seed is not None and entry.pretraining:
            _pretrain(study, model, data, entry.init_seed, entry.pretraining, checkpoints, leave)
        if entry.own_weights is not None:
            entry.own_weights.parent.mkdir(parents=True, exist_ok=True)
            save_state(entry.own_weights, initial_state(model))
            mirror.push(entry.own_weights)
        full = FullTraining.of(study, entry.training, entry.repeat, entry.iterations)
        trajectory = Trajectory.of(study, state) if entry.ends is not None else None
        reports: list[TrainingReport] = []
        for report in train_fully(model, entry.masks, data, full, checkpoints, leave, trajectory):
            reports.append(report)
            if isinstance(report, TrainingEnd) and entry.ends is not None:
                entry.ends.mkdir(parents=True, exist_ok=True)
                if report.masks is not None:
                    save_end(entry.ends / Artifact.END_MASK, entry.ends / Artifact.END_WEIGHTS, report.masks, model)
                elif report.outcome is Outcome.FINISHED and not entry.label.is_baseline:
                    save_state(entry.ends / Artifact.END_WEIGHTS, initial_state(model))
                draw(reports, f"{entry.label}: {study.model}, {full.recipe.mask}", entry.ends / Artifact.TRAJECTORY)
                mirror.push(*_ends(entry))
            yield report
    except LeaveRequested:
        return
    except (InputError, OSError) as error:
        if not (reason := storage_failure(error)):
            raise
        yield StorageFailed(reason)


def _pretrain(
    study: Study, model: nn.Module, data: Data, seed: int, iterations: int, checkpoints: Checkpoints, leave: Marker
) -> None:
    """Bring `model` from its initial weights, of `seed`, to those after so many dense iterations, its own."""
    file = checkpoints.folder / Artifact.pretrained_weights(iterations)
    checkpoints.mirror.pull(file)
    if not file.exists():
        for _, state in pretrain(study, model, data, [iterations], seed, checkpoints.part("pretraining"), leave):
            file.parent.mkdir(parents=True, exist_ok=True)
            save_state(file, state)
            checkpoints.mirror.push(file)
    model.load_state_dict(load_state(file))


@dataclass
class _Attempts:
    """The full training of an entry, by one worker after another where they die."""

    entry: Entry
    deaths: int = 0
    """Workers that died since its last progress."""
    place: tuple[int, bool] = (0, False)
    """The last progress that was yielded: its iterations, and whether it was a coordinate, which comes last."""

    def is_new(self, report: TrainingReport) -> bool:
        """Return whether a report was not yielded before: a worker reports again what its checkpoint holds."""
        if isinstance(report, TrainingEnd):
            return True
        place = report.iteration, isinstance(report, CoordinateProgress)
        new = place > self.place
        if new:
            self.place, self.deaths = place, 0
        return new

    def lost(self, error: ray.exceptions.RayError, retries: int) -> TrainingEnd | None:
        """Return how it ends by this error; None where another worker is to go on.

        An error of the training itself would come again.
        """
        if isinstance(error, ray.exceptions.RayTaskError):
            return TrainingEnd(Outcome.FAILED, reason=first_line(error.cause))
        self.deaths += 1
        if self.deaths <= retries:
            return None
        return TrainingEnd(Outcome.FAILED, reason=f"its worker died ({first_line(error)})")


def checkpoint_folder(folder: StudyFolder, entry: Entry) -> Path:
    """Return where the checkpoints of the full training of `entry` lie."""
    return folder.checkpoints(f"final-{entry.label}" + (f"-{entry.repeat}" if entry.repeat else ""))


def _ends(entry: Entry) -> list[Path]:
    """Return the files of its end that the training of an entry may write."""
    names = (Artifact.END_MASK, Artifact.END_WEIGHTS, Artifact.TRAJECTORY)
    return [entry.ends / name for name in names] if entry.ends is not None else []


def train_entries(
    study: Study, entries: Sequence[Entry], shared: SharedInputs, folder: StudyFolder, shutdown: Shutdown
) -> Iterator[tuple[Entry, TrainingReport]]:
    """Train every entry, as many at a time as the resources allow; yield what `train_fully` does as it comes.

    An entry whose worker dies goes on from its checkpoint in another, `faults.retries` times without progress. Once
    `shutdown` is requested, also for a worker that cannot write, the workers leave, and some entries have no end.
    """
    folder = folder.absolute
    mirror = mirror_of(folder)
    task = _train_remotely.options(num_returns="streaming", **task_options(study.resources))

    def start(attempts: _Attempts) -> ray.ObjectRefGenerator:
        attempt = last_attempt(checkpoint_folder(folder, attempts.entry), mirror) + 1
        return task.remote(study, shared.data, shared.state, attempts.entry, folder, attempt)

    trainings = [_Attempts(entry) for entry in entries]
    running = {start(attempts): attempts for attempts in trainings}
    while running and not shutdown.overdue:
        ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        for stream in running.keys() & ready:
            attempts = running[stream]
            try:
                report: TrainingReport | StorageFailed = ray.get(next(stream))
            except StopIteration:
                del running[stream]
                continue
            except ray.exceptions.RayError as error:
                del running[stream]
                end = attempts.lost(error, study.faults.retries)
                if end is None:
                    running[start(attempts)] = attempts
                    continue
                report = end
            if isinstance(report, TrainingEnd):
                # It may still die, which changes nothing.
                running.pop(stream, None)
                mirror.pull(*_ends(attempts.entry), *filter(None, [attempts.entry.own_weights]))
            if isinstance(report, StorageFailed):
                shutdown.request(report.reason)
            elif attempts.is_new(report):
                yield attempts.entry, report


def train_all(search: "RunningSearch", entries: Sequence[Entry]) -> None:
    """Train every entry that the ledger does not hold yet; return early where a shutdown is requested.

    The others are announced again, in case the driver that trained them came no further than the ledger.
    """
    mirror = mirror_of(search.folder)
    known = {record.label: record for record in search.ledger.finals()}
    done = {
        entry.label: record
        for entry in entries
        if (record := known.get(entry.label)) and record.settles(entry.label, entry.of)
    }
    for entry in entries:
        if entry.label.is_baseline:
            search.listeners.training_opened(entry, entry.label in known.keys() - done.keys())
        if entry.label in done:
            search.listeners.of_history.training_ended(entry, done[entry.label].end)
            mirror.remove(checkpoint_folder(search.folder, entry))
    entries = [entry for entry in entries if entry.label not in done]
    search.listeners.trainings_started(entries)
    for entry, report in train_entries(search.study, entries, search.shared, search.folder, search.shutdown):
        if isinstance(report, TrainingEnd):
            search.ledger.record_final(FinalRecord.of_entry(entry, report))
            search.listeners.training_ended(entry, report)
            # A training that failed is tried again, when the study is resumed, from where it was.
            if report.outcome is not Outcome.FAILED:
                mirror.remove(checkpoint_folder(search.folder, entry))
        elif isinstance(report, CoordinateProgress):
            search.listeners.coordinate_measured(entry, report)
        else:
            search.listeners.training_progressed(entry, report)
