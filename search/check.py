"""The sanity checks of one mask: it and its baselines trained alike, several times, and compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from torch import Tensor

from ..models.errors import InputError
from ..models.masks import MaskSet
from ..models.tensorfile import parse_strict_json
from .allocation import AllocationError
from .baselines import (
    CHECKS,
    ERK_RANDOM,
    INVERTED,
    REINITIALISED,
    SHUFFLED,
    erk_random,
    inverted,
    other_weights,
    shuffled,
)
from .candidates import Workbench
from .comparison import Comparison, compare
from .config import Study
from .files import write_json
from .final import Entry, train_entries
from .leaderboard import against_shuffle
from .outcome import Outcome
from .sources import SOURCES
from .space import MaskDistribution
from .spool import Spool


@dataclass(frozen=True)
class Record:
    """The record of a check in MLflow: a parent run with the table, and a run for each training."""

    spool: Spool
    key: str
    study: Study

    def open(self, name: str, masks: MaskSet) -> None:
        """Opens the parent run, called `name`."""
        tags = {"fullspectrum.kind": "check", "fullspectrum.mask_digest": masks.digest()}
        self.spool.start(self.key, name, params=self._params() | {"sparsity": masks.sparsity}, tags=tags)

    def _params(self) -> dict[str, Any]:
        recipe = {f"training.{name}": value for name, value in vars(self.study.training.recipe()).items()}
        own = {"model": self.study.model, "data": self.study.data, "seed": self.study.seed}
        return own | {"epochs": self.study.final.epochs} | recipe

    def _run(self, entry: Entry) -> str:
        return f"{self.key}/{entry.label} {entry.repeat}"

    def start(self, entry: Entry) -> None:
        """Opens the run of a training with its masks."""
        run, params = self._run(entry), self._params() | {"repeat": entry.repeat}
        tags = {"fullspectrum.kind": "baseline", "fullspectrum.mask_digest": entry.masks.digest()}
        self.spool.start(run, f"{entry.label} {entry.repeat}", parent=self.key, params=params, tags=tags)
        self.spool.artifact(run, entry.file)

    def result(self, entry: Entry, result: dict[str, Any]) -> None:
        """Logs what a training reports, and closes its run at its end."""
        run = self._run(entry)
        accuracies = {name: value for name, value in result.items() if name.startswith("accuracy/")}
        self.spool.metrics(run, accuracies, result.get("training/iterations", 0))
        if "outcome" in result:
            outcome = Outcome(result["outcome"])
            self.spool.tags(run, {"fullspectrum.outcome": outcome.value})
            self.spool.end(run, "FAILED" if outcome is Outcome.FAILED else "FINISHED")

    def close(self, check: "SanityCheck", table: Path) -> None:
        """Logs the table, written to `table`, the verdict and the differences, and closes the parent run."""
        write_json(table, check.to_dict())
        self.spool.artifact(self.key, table)
        differences = {f"check/{label}": beside.difference for label, beside in check.comparisons().items()}
        self.spool.metrics(self.key, differences, 0)
        self.spool.tags(self.key, {"mlflow.note.content": check.verdict()})
        self.spool.end(self.key, "FINISHED")


#: The label of the mask itself.
MASK = "mask"
LABELS = (MASK, *CHECKS, ERK_RANDOM)


@dataclass
class SanityCheck:
    """What the trainings of a mask and of its baselines came to."""

    repeats: int
    images: int
    """Test images."""
    missing: dict[str, str]
    """Why a baseline was not trained, by label."""
    finished: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """`accuracy/val_final` and `accuracy/final` of each training, by label."""

    def add(self, entry: Entry, result: dict[str, Any]) -> None:
        """Takes up the end of a training."""
        if "accuracy/final" in result:
            kept = {name: result[name] for name in ("accuracy/val_final", "accuracy/final")}
            self.finished.setdefault(entry.label, []).append(kept)
        else:
            self.missing[entry.label] = result["reason"]

    def accuracies(self, label: str, split: str = "final") -> list[float]:
        """Accuracies of the trainings that ended well: on the test split ("final"), or on validation ("val_final")."""
        return [values[f"accuracy/{split}"] for values in self.finished.get(label, [])]

    def comparisons(self) -> dict[str, Comparison]:
        """The mask beside each baseline of which, as of the mask, a training ended well."""
        ours = self.accuracies(MASK)
        theirs = {label: self.accuracies(label) for label in LABELS if label != MASK}
        return {label: compare(ours, those, self.images) for label, those in theirs.items() if ours and those}

    def verdict(self) -> str:
        """Whether the mask beats its own shuffle."""
        found = self.comparisons()
        if SHUFFLED not in found:
            return f"Nothing can be said of the mask: {self.missing.get(MASK) or self.missing.get(SHUFFLED)}."
        return against_shuffle(found).replace("It ", "The mask ", 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, a row for the mask and each baseline."""
        rows, found = [], self.comparisons()
        for label in LABELS:
            row: dict[str, Any] = {"trained": label, "accuracy/val_final": self.accuracies(label, "val_final")}
            row["accuracy/final"] = self.accuracies(label)
            if beside := found.get(label):
                row |= {"difference": beside.difference, "error": beside.error, "verdict": f"mask {beside.verb} it"}
            if label in self.missing:
                row["missing"] = self.missing[label]
            rows.append(row)
        return {"repeats": self.repeats, "test_images": self.images, "rows": rows, "verdict": self.verdict()}


def entries_of(bench: Workbench, masks: MaskSet, repeats: int, folder: Path) -> tuple[list[Entry], dict[str, str]]:
    """The trainings of a mask and of its baselines, `repeats` of each, and why a baseline is missing.

    A repetition has other batches, another shuffle, another random mask, and other weights where they are others.
    """
    entries, missing = [], {}
    for repeat in range(repeats):
        seed = bench.study.seed + repeat
        made: dict[str, MaskSet | str] = {
            MASK: masks,
            SHUFFLED: shuffled(masks, seed),
            REINITIALISED: masks,
            INVERTED: _inverted(bench, masks),
            ERK_RANDOM: _random(bench, seed),
        }
        for label, their in made.items():
            if isinstance(their, str):
                missing[label] = their
                continue
            file = folder / label / str(repeat) / "mask.safetensors"
            file.parent.mkdir(parents=True, exist_ok=True)
            weights = other_weights(seed) if label == REINITIALISED else None
            entries.append(Entry(label, their, {}, weights, repeat, their.save(file)))
    return entries, missing


def _inverted(bench: Workbench, masks: MaskSet) -> MaskSet | str:
    name = masks.metadata.get("source", "")
    if name not in bench.study.search.sources:
        return "the mask file names no source whose scores could be inverted"
    batch_seed = masks.metadata.get("batch_seed", "0")
    if not batch_seed.isdecimal():
        return f"the mask file's batch_seed is {batch_seed!r}, which is no number"
    distribution = MaskDistribution(name, 0.0, int(batch_seed), {})
    return inverted(bench, masks, distribution) or f"{name} has no scores that could be inverted"


def _random(bench: Workbench, seed: int) -> MaskSet | str:
    try:
        return erk_random(bench, seed)
    except AllocationError as error:
        return str(error)


def settings_of(masks: MaskSet) -> dict[str, Any]:
    """What a mask file says of how its source scored, as settings of [search]; what is malformed it does not say.

    A file never makes another file be read: a warm start is not scored again.
    """
    said = masks.metadata
    settings: dict[str, Any] = {}
    for name in ("images_per_class", "rounds"):
        if said.get(name, "").isdecimal() and int(said[name]) > 0:
            settings[name] = int(said[name])
    if said.get("source") in SOURCES:
        settings["sources"] = [said["source"]]
    try:
        dense = parse_strict_json(said.get("keep_dense", "[]"))
    except InputError:
        dense = []
    if isinstance(dense, list):
        settings["keep_dense"] = [name for name in masks if name in dense]
    return settings


def run_check(
    bench: Workbench,
    masks: MaskSet,
    state: dict[str, Tensor],
    repeats: int,
    folder: Path,
    record: Record,
    step: Callable[[str], None],
) -> SanityCheck:
    """Trains the mask and its baselines from `state`, `repeats` times each, on the Ray that is connected.

    Baselines are written into `folder`; `step` is called with the label of each training that ends.
    """
    study = bench.study
    entries, missing = entries_of(bench, masks, repeats, folder)
    check = SanityCheck(repeats, len(bench.data.splits["test"]), missing)
    for entry in entries:
        record.start(entry)
    for entry, result in train_entries(study, entries, ray.put(bench.data), ray.put(state)):
        record.result(entry, result)
        if "outcome" in result:
            check.add(entry, result)
            step(entry.label)
    return check
