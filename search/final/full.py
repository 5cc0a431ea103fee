"""One full training: a mask, a recipe, and so many epochs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import nn

from ...models.batches import batches_per_epoch
from ...models.data import Data
from ...models.masks import MaskSet
from ...models.networks import initial_state
from ...models.recipe import Recipe
from ...models.seeds import derive
from ...models.training import Diverged, MaskedTraining
from ...models.weights import init_digest, save_state
from ..config.study import Study
from ..protocol.outcome import Outcome
from ..protocol.proposal import Values
from ..protocol.training import CoordinateProgress, TrainingEnd, TrainingProgress, TrainingReport
from ..remote.mirror import Marker
from ..resumable.checkpoints import Checkpoints
from ..resumable.training import ResumableTraining
from .trajectory import Trajectory


@dataclass(frozen=True)
class FullTraining:
    """The settings of a full training."""

    recipe: Recipe
    epochs: int
    """Passes over the training split, >= 1, where `iterations` does not say how long it is."""
    seed: int
    """Seed of the batches."""
    checkpoint_seconds: float
    """Seconds of training between two checkpoints."""
    iterations: int | None = None
    """Optimizer steps, >= 1; None: those of the epochs."""

    @classmethod
    def of(cls, study: Study, training: Values, repeat: int = 0, iterations: int | None = None) -> Self:
        """Return the full training of a study with values for its searched settings; each `repeat` has own batches.

        It is as long as the study says, or of so many `iterations`.
        """
        seed = derive(study.seed, "final", *([repeat] if repeat else []))
        recipe, faults = study.training.recipe(dict(training)), study.faults
        return cls(recipe, study.final.epochs, seed, faults.checkpoint_seconds, iterations)

    def measured_at(self, per_epoch: int) -> list[int]:
        """Return the iterations at which it is measured: about twenty ends of an epoch, and the last iteration."""
        total = self.iterations or self.epochs * per_epoch
        piece = per_epoch * max(1, total // per_epoch // 20)
        return [*range(piece, total, piece), total]


def train_fully(
    model: nn.Module,
    masks: MaskSet | None,
    data: Data,
    full: FullTraining,
    checkpoints: Checkpoints | None = None,
    leave: Marker | None = None,
    trajectory: Trajectory | None = None,
) -> Iterator[TrainingReport]:
    """Train `model` in place and in full, where it lies, from the weights it has, under `masks` (None: dense).

    Yields progress about twenty times, and last the end with its test accuracy; with a `trajectory` also the
    coordinate, where the masks change. Where it goes on from one of `checkpoints`, yields what was measured before it
    too. Raises LeaveRequested where the marker `leave` is made.
    """
    device = next(model.parameters()).device
    data = data.to(device)
    iterations = full.measured_at(batches_per_epoch(data.splits["train"], full.recipe.batch_size))
    training = MaskedTraining(model, masks, data, full.recipe, iterations[-1], full.seed, device)
    resumable = ResumableTraining(training, checkpoints, full.checkpoint_seconds, leave)
    try:
        points = set(trajectory.iterations(training)) if trajectory else set()
        for iteration in sorted({*iterations, *points, *resumable.coordinates}):
            if iteration > resumable.reported:
                resumable.run_to(iteration)
            if iteration in iterations:
                if iteration not in resumable.accuracies:
                    resumable.accuracies[iteration] = training.accuracy("val")
                yield TrainingProgress(iteration, resumable.accuracies[iteration])
            if trajectory and iteration in points and iteration not in resumable.coordinates:
                resumable.coordinates[iteration] = trajectory.measure(training)
            if values := resumable.coordinates.get(iteration):
                yield CoordinateProgress(iteration, values)
        accuracy_final = training.accuracy("test")
        # The model keeps the weights that were measured, also where they are an average.
        model.load_state_dict(training.measured_state())
        last, ended = iterations[-1], training.masks
        changed = ended if masks is not None and ended is not None and ended.digest() != masks.digest() else None
        yield TrainingEnd(Outcome.FINISHED, last, resumable.accuracies[last], accuracy_final, masks=changed)
    except Diverged as error:
        yield TrainingEnd(Outcome.DIVERGED, training.iteration, reason=str(error))


def save_end(mask_file: Path, weights_file: Path, masks: MaskSet, model: nn.Module) -> None:
    """Write the masks of the end of a training, and the weights of `model` that belong to them.

    The mask file names the digest of these weights, so that neither is exported with others.
    """
    state = initial_state(model)
    save_state(weights_file, state)
    MaskSet(masks, {**masks.metadata, "init_digest": init_digest(state), "at": "end"}).save(mask_file)
