"""The sanity checks of one mask: it and its baselines trained alike, several times, and compared."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from torch import Tensor

from ...models.errors import InputError
from ...models.masks import MaskSet
from ...models.tensorfile import parse_strict_json
from ..config.study import Study
from ..files import StudyFolder, write_json
from ..process.shutdown import drained
from ..protocol.label import CHECKS, ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED
from ..protocol.outcome import Outcome
from ..record.spool import Spool
from ..report.comparison import Comparison, compare
from ..report.verdicts import against_shuffle
from ..sampling.allocation import AllocationError
from ..sampling.distribution import MaskDistribution
from ..screen.stepper import stepper
from ..sources import SOURCES
from ..worker.workbench import Workbench
from .baselines import erk_random, other_weights, shuffled
from .entries import inverted_by_worker
from .training import Entry, train_entries


@dataclass(frozen=True)
class Record:
    """The record of a check in MLflow: a parent run with the table, and a run for each training."""

    spool: Spool
    key: str
    study: Study
    _running: list[str] = field(default_factory=list)
    """Keys of the runs that are open, the parent first."""

    @contextmanager
    def opened(self, name: str, masks: MaskSet) -> Iterator[None]:
        """Opens the parent run, called `name`; where the block is left by an exception, closes every open run."""
        tags = {"fullspectrum.kind": "check", "fullspectrum.mask_digest": masks.digest()}
        try:
            self._start(self.key, name, self._params() | {"sparsity": self.study.sparsity}, tags)
            yield
        except BaseException as error:
            for run in reversed(self._running):
                self.spool.end(run, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise

    def _params(self) -> dict[str, Any]:
        recipe = {f"training.{name}": value for name, value in vars(self.study.training.recipe()).items()}
        own = {"model": self.study.model, "data": self.study.data, "seed": self.study.seed}
        return own | {"epochs": self.study.final.epochs} | recipe

    def _run(self, entry: Entry) -> str:
        return f"{self.key}/{entry.label} {entry.repeat}"

    def start(self, entry: Entry) -> None:
        """Opens the run of a training with its masks."""
        params = self._params() | {"repeat": entry.repeat, "sparsity": entry.masks.sparsity}
        if entry.init_seed is not None:
            params["init_seed"] = entry.init_seed
        tags = {"fullspectrum.kind": "baseline", "fullspectrum.mask_digest": entry.masks.digest()}
        self._start(self._run(entry), f"{entry.label} {entry.repeat}", params, tags, parent=self.key)
        self.spool.artifact(self._run(entry), entry.file)

    def result(self, entry: Entry, result: dict[str, Any]) -> None:
        """Logs what a training reports, and closes its run at its end."""
        run = self._run(entry)
        accuracies = {name: value for name, value in result.items() if name.startswith("accuracy/")}
        self.spool.metrics(run, accuracies, result.get("training/iterations", 0))
        if "outcome" in result:
            outcome = Outcome(result["outcome"])
            reason = {"fullspectrum.reason": result["reason"]} if "reason" in result else {}
            self.spool.tags(run, {"fullspectrum.outcome": outcome.value} | reason)
            self._end(run, "FAILED" if outcome is Outcome.FAILED else "FINISHED")

    def close(self, check: "SanityCheck", table: Path) -> None:
        """Logs the table, written to `table`, the verdict and the differences, and closes the parent run."""
        write_json(table, check.to_dict())
        self.spool.artifact(self.key, table)
        differences = {f"check/{label}": beside.difference for label, beside in check.comparisons().items()}
        self.spool.metrics(self.key, differences, 0)
        self.spool.tags(self.key, {"mlflow.note.content": check.verdict()})
        self._end(self.key, "FINISHED" if check.accuracies(MASK) else "FAILED")

    def _start(self, run: str, name: str, params: dict[str, Any], tags: dict[str, str], **more: str) -> None:
        self._running.append(run)
        self.spool.start(run, name, params=params, tags=tags, **more)

    def _end(self, run: str, status: str) -> None:
        self._running.remove(run)
        self.spool.end(run, status)


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
    """Why a baseline was not trained, or the last of its trainings that did not end well, by label."""
    finished: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    """`accuracy/val_final` and `accuracy/final` of each training, by label and number of the repetition."""

    def add(self, entry: Entry, result: dict[str, Any]) -> None:
        """Takes up the end of a training."""
        if "accuracy/final" in result:
            kept = {name: result[name] for name in ("accuracy/val_final", "accuracy/final")}
            self.finished.setdefault(entry.label, {})[entry.repeat] = kept
        else:
            self.missing[entry.label] = result["reason"]

    def accuracies(self, label: str, split: str = "final") -> list[float]:
        """Accuracies of the trainings that ended well: on the test split ("final"), or on validation ("val_final")."""
        return [values[f"accuracy/{split}"] for _, values in sorted(self.finished.get(label, {}).items())]

    def comparisons(self) -> dict[str, Comparison]:
        """The mask beside each baseline of which, as of the mask, a training ended well."""
        ours = self.accuracies(MASK)
        theirs = {label: self.accuracies(label) for label in LABELS if label != MASK}
        return {label: compare(ours, those, self.images) for label, those in theirs.items() if ours and those}

    def verdict(self) -> str:
        """Whether the mask beats its own shuffle, and how many of their trainings do not count."""
        found = self.comparisons()
        if SHUFFLED not in found:
            return f"Nothing can be said of the mask: {self.missing.get(MASK) or self.missing.get(SHUFFLED)}."
        sentences = [against_shuffle(found).replace("It ", "The mask ", 1)]
        for label, name in ((MASK, "the mask"), (SHUFFLED, "its shuffle")):
            if lost := self.repeats - len(self.accuracies(label)):
                sentences.append(f"{lost} of {self.repeats} trainings of {name} did not end well and do not count.")
        return " ".join(sentences)

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


def _entries(
    bench: Workbench, data: ray.ObjectRef, state: ray.ObjectRef, masks: MaskSet, repeats: int, folder: Path
) -> tuple[list[Entry], dict[str, str]]:
    """The trainings of a mask and of its baselines, `repeats` of each, and why a baseline is missing.

    A repetition has other batches, another shuffle, another random mask, and other weights where they are others.
    """
    entries, missing = [], {}
    worst = _inverted(bench, data, state, masks)
    for repeat in range(repeats):
        seed = bench.study.seed + repeat
        made: dict[str, MaskSet | str] = {
            MASK: masks,
            SHUFFLED: shuffled(masks, seed),
            REINITIALISED: masks,
            INVERTED: worst,
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


def _inverted(bench: Workbench, data: ray.ObjectRef, state: ray.ObjectRef, masks: MaskSet) -> MaskSet | str:
    name = masks.metadata.get("source", "")
    if name not in bench.study.search.sources:
        return "the mask file names no source whose scores could be inverted"
    batch_seed = _number(masks.metadata.get("batch_seed", "0"))
    if batch_seed is None:
        return f"the mask file's batch_seed is {masks.metadata['batch_seed'][:80]!r}, which is no number"
    distribution = MaskDistribution(name, 0.0, batch_seed, {})
    worst = inverted_by_worker(bench, data, state, masks, distribution)
    return worst or f"{name} has no scores that could be inverted"


def _number(text: str) -> int | None:
    """The whole number of at most 18 digits that a mask file says, else None: Python refuses to read thousands."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


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
        if number := _number(said.get(name, "")):
            settings[name] = number
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
) -> SanityCheck:
    """Trains the mask and its baselines from `state`, `repeats` times each, on the Ray that is connected.

    Baselines are written into `folder`, checkpoints too while it runs. Raises KeyboardInterrupt where a signal ended
    it, InputError where nothing can be written.
    """
    place = StudyFolder(folder)
    shared = ray.put(bench.data), ray.put(state)
    entries, missing = _entries(bench, *shared, masks, repeats, folder)
    check = SanityCheck(repeats, len(bench.data.splits["test"]), missing)
    for entry in entries:
        record.start(entry)
    try:
        with drained(place.leave, bench.study.faults.grace_seconds) as drain, stepper("training", len(entries)) as step:
            for entry, result in train_entries(bench.study, entries, *shared, place, drain):
                record.result(entry, result)
                if "outcome" in result:
                    check.add(entry, result)
                    step(entry.label)
    finally:
        # A check cannot be resumed.
        shutil.rmtree(place.path / "checkpoints", ignore_errors=True)
    if drain.signal:
        raise KeyboardInterrupt(drain.signal)
    if drain.asked:
        raise InputError(f"the check was given up: {drain.reason}")
    return check
