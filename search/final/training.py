"""Full training of the best masks, and of the baselines that they must beat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from torch import nn

from ...models.batches import batches_per_epoch
from ...models.data import Data
from ...models.errors import InputError, first_line
from ...models.masks import MaskSet
from ...models.networks import build
from ...models.seeds import derive
from ...models.training import Diverged, MaskedTraining, Recipe
from ..config.study import Study
from ..files import StudyFolder, broken
from ..process.link import lifeline
from ..process.shutdown import Drain
from ..protocol.label import BASELINES
from ..protocol.outcome import Outcome
from ..record.recorder import Recorder
from ..screen.progress import Progress
from ..store.checkpoint import Checkpoints, last_attempt
from ..store.ledger import FinalRecord, Ledger, TrialRecord
from ..worker.device import claim_device
from ..worker.resumable import Left, Pieces


@dataclass(frozen=True)
class Entry:
    """One full training to be done."""

    label: str
    """`trial N`, or the baseline's name."""
    masks: MaskSet | None
    """None trains the dense network."""
    proposed: dict[str, Any]
    """Values of the searched training settings."""
    init_seed: int | None = None
    """Seed of other initial weights than those the study starts from."""
    repeat: int = 0
    """Which of several trainings that differ in their batches alone."""
    file: Path | None = None
    """Where a baseline's masks lie."""
    of: str | None = None
    """The trial whose mask a baseline checks."""


def contenders(study: Study, trials: list[TrialRecord]) -> list[TrialRecord]:
    """The trials to be trained in full: the `final.top_k` best by warm-up accuracy of those that warmed up.

    With `top_k = "all"`, every trial that warmed up. A trial that diverged or failed is none of them. Equals are
    ordered by number.
    """
    sound = [trial for trial in trials if trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY)]
    warmed = [trial for trial in sound if "accuracy/val" in trial.result]
    # A trial that was stopped at a rung has a lower fidelity: whoever warmed up for longer goes first.
    warmed.sort(key=lambda t: (-t.result["training/iterations"], -t.result["accuracy/val"], t.number))
    return warmed if study.final.top_k == "all" else warmed[: study.final.top_k]


def train_fully(
    study: Study,
    data: Data,
    model: nn.Module,
    masks: MaskSet | None,
    recipe: Recipe,
    device: str,
    repeat: int = 0,
    checkpoints: Checkpoints | None = None,
    leave: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Trains `model` in place and in full, from the weights it has, under `masks` (None: dense).

    Another `repeat` has other batches. Yields progress about twenty times, and last the outcome with its test accuracy;
    where it goes on from one of `checkpoints`, progress from before it too. Raises Left where the file `leave` is made.
    """
    data = data.to(device)
    per_epoch = batches_per_epoch(data.splits["train"], recipe.batch_size)
    total = study.final.epochs * per_epoch
    seed = derive(study.seed, "final", *([repeat] if repeat else []))
    training = MaskedTraining(model, masks, data, recipe, total, seed, device)
    pieces = Pieces(training, checkpoints, study.faults.checkpoint_seconds, leave)
    piece = per_epoch * max(1, study.final.epochs // 20)
    try:
        for iteration in [*range(piece, total, piece), total]:
            if iteration > pieces.reported:
                pieces.run_to(iteration)
                pieces.accuracies[iteration] = training.accuracy("val")
            yield {"training/iterations": iteration, "accuracy/val_final": pieces.accuracies[iteration]}
        test_accuracy = training.accuracy("test")
        # What is left in the model is what was measured, also where that is an average of weights.
        model.load_state_dict(training.measured_state())
        yield {
            "outcome": Outcome.FINISHED.value,
            "training/iterations": total,
            "accuracy/val_final": pieces.accuracies[total],
            "accuracy/final": test_accuracy,
        }
    except Diverged as error:
        yield {"outcome": Outcome.DIVERGED.value, "reason": str(error), "training/iterations": training.iteration}


# Not Ray's own retries, which begin anew and tell everything again.
@ray.remote(max_retries=0)
def _train_remotely(study: Study, data: Data, state: dict, entry: Entry, checkpoints: Checkpoints, leave: Path):
    """Yields what `train_fully` does, or ends without an outcome where it is asked to leave."""
    if leave.exists():
        return
    model = build(study.model, data.task, study.seed if entry.init_seed is None else entry.init_seed)
    if entry.init_seed is None:
        model.load_state_dict(state)
    recipe = study.training.recipe(entry.proposed)
    device = claim_device(study.resources)
    try:
        yield from train_fully(study, data, model, entry.masks, recipe, device, entry.repeat, checkpoints, leave)
    except Left:
        return
    except (InputError, OSError) as error:
        if not (reason := broken(error)):
            raise
        yield {"broken": reason}


@dataclass
class _Training:
    """The full training of an entry, by one worker after another where they die."""

    entry: Entry
    folder: Path
    """Where its checkpoints lie."""
    deaths: int = 0
    """Workers that died since its last progress."""
    told: int = 0
    """Iterations of the last progress that was yielded."""

    def new(self, result: dict[str, Any]) -> bool:
        """Whether this was not yielded before: a worker tells again what its checkpoint knows."""
        if "outcome" in result:
            return True
        before, self.told = self.told, max(self.told, result["training/iterations"])
        if self.told > before:
            self.deaths = 0
        return self.told > before

    def died(self, error: ray.exceptions.RayError, retries: int) -> dict[str, Any] | None:
        """How it ends by this error; None where another worker is to go on.

        What it raises itself it would raise again.
        """
        if isinstance(error, ray.exceptions.RayTaskError):
            return {"outcome": Outcome.FAILED.value, "reason": first_line(error.cause)}
        self.deaths += 1
        if self.deaths <= retries:
            return None
        return {"outcome": Outcome.FAILED.value, "reason": f"its worker died ({first_line(error)})"}


def checkpoint_folder(folder: StudyFolder, entry: Entry) -> Path:
    """Where the checkpoints of the full training of `entry` lie."""
    return folder.checkpoints(f"final-{entry.label}" + (f"-{entry.repeat}" if entry.repeat else ""))


def train_entries(
    study: Study, entries: Iterable[Entry], data: ray.ObjectRef, state: ray.ObjectRef, folder: StudyFolder, drain: Drain
) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Trains every entry, as many at a time as the resources allow; yields what `train_fully` does as it comes.

    An entry whose worker dies goes on from its checkpoint in another, `faults.retries` times without progress. Once
    `drain` is asked, also by a worker that cannot write, the workers leave, and it returns with some entries not ended.
    """
    # Workers have working directories of their own.
    folder = StudyFolder(folder.path.resolve())
    resources = {"num_cpus": study.resources.cpus, "num_gpus": study.resources.gpus, "num_returns": "streaming"}
    task = _train_remotely.options(**resources)

    def start(training: _Training) -> ray.ObjectRefGenerator:
        checkpoints = Checkpoints(training.folder, last_attempt(training.folder) + 1)
        return task.remote(study, data, state, training.entry, checkpoints, folder.leave)

    trainings = [_Training(entry, checkpoint_folder(folder, entry)) for entry in entries]
    running = {start(training): training for training in trainings}
    while running and not drain.overdue:
        ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
        for stream in ready:
            training = running[stream]
            try:
                result = ray.get(next(stream))
            except StopIteration:
                del running[stream]
                continue
            except ray.exceptions.RayError as error:
                del running[stream]
                result = training.died(error, study.faults.retries)
                if result is None:
                    running[start(training)] = training
                    continue
            if "outcome" in result:
                # It may still die, which changes nothing.
                running.pop(stream, None)
            if "broken" in result:
                drain.ask(result["broken"])
            elif training.new(result):
                yield training.entry, result


def train_all(
    study: Study,
    entries: list[Entry],
    data: ray.ObjectRef,
    state: ray.ObjectRef,
    ledger: Ledger,
    recorder: Recorder,
    progress: Progress,
    folder: StudyFolder,
    drain: Drain,
) -> None:
    """Trains every entry that the ledger does not hold yet; returns early where `drain` is asked.

    The record is told of the others again, in case the driver that trained them came no further than the ledger.
    """
    known = {record.label: record for record in ledger.finals()}
    done = {
        entry.label: record
        for entry in entries
        if (record := known.get(entry.label)) and record.settles(entry.label, entry.of)
    }
    for entry in entries:
        if entry.label in BASELINES:
            again = entry.label in known.keys() - done.keys()
            recorder.start_baseline(entry.label, entry.proposed, entry.file, entry.of, again)
        if entry.label in done:
            recorder.end_final(entry.label, _result(done[entry.label]))
            Checkpoints(checkpoint_folder(folder, entry)).clear()
    entries = [entry for entry in entries if entry.label not in done]
    progress.finals_started(len(entries))
    for entry, result in train_entries(study, entries, data, state, folder, drain):
        if "outcome" in result:
            ledger.record_final(_record(entry, result))
            recorder.end_final(entry.label, result)
            # A training that failed is tried again, when the study is resumed, from where it was.
            if result["outcome"] != Outcome.FAILED:
                lifeline().progressed()
                Checkpoints(checkpoint_folder(folder, entry)).clear()
        else:
            recorder.final_progress(entry.label, result["accuracy/val_final"], result["training/iterations"])
        progress.final_result(entry.label, result)


def _record(entry: Entry, result: dict[str, Any]) -> FinalRecord:
    """The end of a full training as the ledger holds it."""
    told = {key: result[key] for key in ("training/iterations", "reason") if key in result}
    accuracies = result.get("accuracy/val_final"), result.get("accuracy/final")
    told |= {"training": entry.proposed} | ({"of": entry.of} if entry.of else {})
    return FinalRecord(entry.label, Outcome(result["outcome"]), *accuracies, told)


def _result(record: FinalRecord) -> dict[str, Any]:
    """What `train_fully` yielded last of a training that the ledger holds."""
    result = {"accuracy/val_final": record.accuracy_val, "accuracy/final": record.accuracy_final, **record.result}
    known = {key: value for key, value in result.items() if key not in ("training", "of") and value is not None}
    return {"outcome": record.outcome.value} | known
