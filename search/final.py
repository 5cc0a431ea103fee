"""Full training of the best masks, and of the two baselines that they must beat."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ray
from torch import nn

from ..models.batches import batches_per_epoch
from ..models.data import Data
from ..models.masks import MaskSet
from ..models.networks import build
from ..models.seeds import derive
from ..models.training import Diverged, MaskedTraining, Recipe
from .config import Study
from .device import claim_device
from .ledger import BASELINES, FinalRecord, Ledger, TrialRecord
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
    study: Study, data: Data, model: nn.Module, masks: MaskSet | None, recipe: Recipe, device: str
) -> Iterator[dict[str, Any]]:
    """Trains `model` in place and in full, from the weights it has, under `masks` (None: dense).

    Yields progress about twenty times, and last the outcome with its test accuracy.
    """
    data = data.to(device)
    per_epoch = batches_per_epoch(data.splits["train"], recipe.batch_size)
    total = study.final.epochs * per_epoch
    training = MaskedTraining(model, masks, data, recipe, total, derive(study.seed, "final"), device)
    piece = per_epoch * max(1, study.final.epochs // 20)
    try:
        while training.iteration < total:
            training.run(min(piece, total - training.iteration))
            accuracy = training.accuracy("val")
            yield {"training/iterations": training.iteration, "accuracy/val_final": accuracy}
        yield {
            "outcome": Outcome.FINISHED.value,
            "training/iterations": training.iteration,
            "accuracy/val_final": accuracy,
            "accuracy/final": training.accuracy("test"),
        }
    except Diverged as error:
        yield {"outcome": Outcome.DIVERGED.value, "reason": str(error), "training/iterations": training.iteration}


@ray.remote(max_retries=1)
def _train_remotely(study: Study, data: Data, state: dict, masks: MaskSet | None, recipe: Recipe):
    model = build(study.model, data.task, study.seed)
    model.load_state_dict(state)
    yield from train_fully(study, data, model, masks, recipe, claim_device(study.resources))


def train_all(
    study: Study,
    entries: list[Entry],
    data: ray.ObjectRef,
    state: ray.ObjectRef,
    ledger: Ledger,
    recorder: Recorder,
    progress: Progress,
) -> None:
    """Trains every entry that the ledger does not hold yet, as many at a time as the resources allow."""
    done = {record.label for record in ledger.finals()}
    entries = [entry for entry in entries if entry.label not in done]
    resources = {"num_cpus": study.resources.cpus, "num_gpus": study.resources.gpus, "num_returns": "streaming"}
    running = {}
    for entry in entries:
        if entry.label in BASELINES:
            recorder.start_baseline(entry.label, entry.proposed)
        recipe = study.training.recipe(entry.proposed)
        running[_train_remotely.options(**resources).remote(study, data, state, entry.masks, recipe)] = entry
    progress.finals_started(len(entries))
    while running:
        (ready, *_), _ = ray.wait(list(running), num_returns=1)
        entry = running[ready]
        try:
            result = ray.get(next(ready))
        except StopIteration:
            del running[ready]
            continue
        except ray.exceptions.RayError as error:
            del running[ready]
            result = {"outcome": Outcome.FAILED.value, "reason": str(error).strip().splitlines()[-1]}
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
