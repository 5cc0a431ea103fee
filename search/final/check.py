"""The sanity check of one mask: it and its baselines trained alike, several times."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...models.errors import InputError
from ...models.masks import MaskSet
from ..files import StudyFolder
from ..names import Artifact
from ..process.shutdown import shutdown_on_signals
from ..protocol.label import ERK_RANDOM, INVERTED, REINITIALISED, SHUFFLED, Label
from ..protocol.training import Entry, TrainingEnd
from ..record.check_recorder import CheckRecorder
from ..sampling.distribution import MaskDistribution
from ..sampling.layers import AllocationError
from ..worker.shared import SharedInputs
from ..worker.workbench import Workbench
from .baselines import erk_random, other_weights, shuffled
from .entries import inverted_by_worker
from .origin import batch_seed_of
from .sanity import MASK, SanityCheck
from .training import train_entries


@dataclass(frozen=True)
class Check:
    """A mask and its baselines, ready to be trained on the Ray that is connected."""

    bench: Workbench
    shared: SharedInputs
    folder: StudyFolder
    entries: list[Entry]
    """The trainings."""
    result: SanityCheck

    def run(self, recorder: CheckRecorder, step: Callable[[str], None]) -> SanityCheck:
        """Train every entry and return what they came to; `step` is called with the label of each that ended.

        Raises KeyboardInterrupt where a signal ended it, InputError where nothing can be written.
        """
        study, folder = self.bench.study, self.folder
        for entry in self.entries:
            recorder.start(entry)
        try:
            with shutdown_on_signals(folder.leave, study.faults.grace_seconds) as shutdown:
                for entry, report in train_entries(study, self.entries, self.shared, folder, shutdown):
                    recorder.result(entry, report)
                    if isinstance(report, TrainingEnd):
                        self.result.add(entry, report)
                        step(entry.label)
        finally:
            # A check cannot be resumed.
            shutil.rmtree(folder.path / "checkpoints", ignore_errors=True)
        if shutdown.signal:
            raise KeyboardInterrupt(shutdown.signal)
        if shutdown.requested:
            raise InputError(f"the check was given up: {shutdown.reason}")
        return self.result


def prepare_check(
    bench: Workbench, masks: MaskSet, state: dict[str, Tensor], repeats: int, folder: Path, pretraining: int = 0
) -> Check:
    """Return the check of `masks`, trained from `state` and beside its baselines `repeats` times each.

    The masks of the baselines are written into `folder`. A repetition has other batches, another shuffle, another
    random mask, and other weights where they are others. `state` is that after `pretraining` dense iterations: others
    are trained as far before the mask is laid on them.
    """
    shared = SharedInputs.put(bench, state)
    entries, missing = [], {}
    worst = _inverted(bench, shared, masks)
    for repeat in range(repeats):
        seed = bench.study.seed + repeat
        made: dict[Label, MaskSet | str] = {
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
            file = folder / label / str(repeat) / Artifact.MASK
            file.parent.mkdir(parents=True, exist_ok=True)
            other = other_weights(seed) if label == REINITIALISED else None
            file = their.save(file)
            entries.append(Entry(label, their, init_seed=other, pretraining=pretraining, repeat=repeat, file=file))
    result = SanityCheck(repeats, len(bench.data.splits["test"]), missing)
    return Check(bench, shared, StudyFolder(folder), entries, result)


def _inverted(bench: Workbench, shared: SharedInputs, masks: MaskSet) -> MaskSet | str:
    """Return the mask of the lowest scores of its source, or why there is none."""
    name = masks.metadata.get("source", "")
    if name not in bench.study.search.sources:
        return "the mask file names no source whose scores could be inverted"
    batch_seed = batch_seed_of(masks)
    if batch_seed is None:
        return f"the mask file's batch_seed is {masks.metadata['batch_seed'][:80]!r}, which is no number"
    distribution = MaskDistribution(name, 0.0, batch_seed, {})
    worst = inverted_by_worker(bench, shared, masks, distribution)
    return worst or f"{name} has no scores that could be inverted"


def _random(bench: Workbench, seed: int) -> MaskSet | str:
    """Return a random mask of ERK layer sparsities, or why there is none."""
    try:
        return erk_random(bench, seed)
    except AllocationError as error:
        return str(error)
