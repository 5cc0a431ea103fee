"""Full training of the best masks, and of the baselines that they must beat."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from torch import nn

from ..models.batches import batches_per_epoch
from ..models.data import Data
from ..models.masks import MaskSet
from ..models.networks import build
from ..models.seeds import derive
from ..models.training import Diverged, MaskedTraining, Recipe
from .baselines import BASELINES
from .config import Study
from .device import claim_device
from .interrupt import interruptible
from .ledger import FinalRecord, Ledger, TrialRecord
from .outcome import Outcome
from .progress import Progress
from .record import Recorder


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
    study: Study, data: Data, model: nn.Module, masks: MaskSet | None, recipe: Recipe, device: str, repeat: int = 0
) -> Iterator[dict[str, Any]]:
    """Trains `model` in place and in full, from the weights it has, under `masks` (None: dense).

    Another `repeat` has other batches. Yields progress about twenty times, and last the outcome with its test accuracy.
    """
    data = data.to(device)
    per_epoch = batches_per_epoch(data.splits["train"], recipe.batch_size)
    total = study.final.epochs * per_epoch
    seed = derive(study.seed, "final", *([repeat] if repeat else []))
    training = MaskedTraining(model, masks, data, recipe, total, seed, device)
    piece = per_epoch * max(1, study.final.epochs // 20)
    try:
        while training.iteration < total:
            training.run(min(piece, total - training.iteration))
            accuracy = training.accuracy("val")
            yield {"training/iterations": training.iteration, "accuracy/val_final": accuracy}
        test_accuracy = training.accuracy("test")
        # What is left in the model is what was measured, also where that is an average of weights.
        model.load_state_dict(training.measured_state())
        yield {
            "outcome": Outcome.FINISHED.value,
            "training/iterations": training.iteration,
            "accuracy/val_final": accuracy,
            "accuracy/final": test_accuracy,
        }
    except Diverged as error:
        yield {"outcome": Outcome.DIVERGED.value, "reason": str(error), "training/iterations": training.iteration}


@ray.remote(max_retries=1)
def _train_remotely(study: Study, data: Data, state: dict, entry: Entry):
    model = build(study.model, data.task, study.seed if entry.init_seed is None else entry.init_seed)
    if entry.init_seed is None:
        model.load_state_dict(state)
    recipe = study.training.recipe(entry.proposed)
    device = claim_device(study.resources)
    yield from train_fully(study, data, model, entry.masks, recipe, device, entry.repeat)


def train_entries(
    study: Study, entries: Iterable[Entry], data: ray.ObjectRef, state: ray.ObjectRef
) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Trains every entry, as many at a time as the resources allow; yields what `train_fully` does as it comes."""
    resources = {"num_cpus": study.resources.cpus, "num_gpus": study.resources.gpus, "num_returns": "streaming"}
    with interruptible() as check_interrupt:
        running = {_train_remotely.options(**resources).remote(study, data, state, entry): entry for entry in entries}
        while running:
            check_interrupt()
            ready, _ = ray.wait(list(running), num_returns=1, timeout=1.0)
            for stream in ready:
                entry = running[stream]
                try:
                    result = ray.get(next(stream))
                except StopIteration:
                    del running[stream]
                    continue
                except ray.exceptions.RayError as error:
                    del running[stream]
                    result = {"outcome": Outcome.FAILED.value, "reason": str(error).strip().splitlines()[-1]}
                yield entry, result


def train_all(
    study: Study,
    entries: list[Entry],
    data: ray.ObjectRef,
    state: ray.ObjectRef,
    ledger: Ledger,
    recorder: Recorder,
    progress: Progress,
) -> None:
    """Trains every entry that the ledger does not hold yet."""
    done = {record.label for record in ledger.finals()}
    entries = [entry for entry in entries if entry.label not in done]
    for entry in entries:
        if entry.label in BASELINES:
            recorder.start_baseline(entry.label, entry.proposed, entry.file, entry.of)
    progress.finals_started(len(entries))
    for entry, result in train_entries(study, entries, data, state):
        if "outcome" in result:
            _close(entry, result, ledger, recorder)
        elif "accuracy/val_final" in result:
            recorder.final_progress(entry.label, result["accuracy/val_final"], result["training/iterations"])
        progress.final_result(entry.label, result)


def _close(entry: Entry, result: dict[str, Any], ledger: Ledger, recorder: Recorder) -> None:
    if "accuracy/final" in result:
        ledger.record_final(
            FinalRecord(
                entry.label, result["accuracy/val_final"], result["accuracy/final"], {"training": entry.proposed}
            )
        )
    recorder.end_final(entry.label, result)
