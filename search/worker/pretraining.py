"""Dense training before masks are chosen: the weights after k iterations, from which all masks start."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from ...models.batches import batches_per_epoch
from ...models.data import Data
from ...models.errors import InputError
from ...models.maskrules.rule import Fixed
from ...models.networks import initial_state
from ...models.recipe import Recipe
from ...models.seeds import derive
from ...models.training import Diverged, MaskedTraining
from ..config.study import Study
from ..remote.mirror import Marker
from ..resumable.checkpoints import Checkpoints
from ..resumable.training import ResumableTraining


def pretraining_recipe(study: Study) -> Recipe:
    """Return the recipe of pretraining: the study's, with defaults in the place of searched settings."""
    return study.training.recipe()


def schedule_iterations(study: Study, data: Data) -> int:
    """Return the length of the learning-rate schedule that pretraining is the beginning of: a full training's."""
    return study.final.epochs * batches_per_epoch(data.splits["train"], pretraining_recipe(study).batch_size)


def check_pretraining(study: Study, data: Data) -> None:
    """Raise InputError where the study pretrains for longer than its schedule is."""
    longest, length = max(study.pretraining.each), schedule_iterations(study, data)
    if longest > length:
        raise InputError(
            f"pretraining.iterations = {longest}, but the schedule that it begins has {length} iterations "
            f"(final.epochs = {study.final.epochs}); lower it, or raise final.epochs"
        )


def pretrain(
    study: Study,
    model: nn.Module,
    data: Data,
    each: Sequence[int],
    seed: int,
    checkpoints: Checkpoints | None = None,
    leave: Marker | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Train `model` dense, in place and where it lies; yield each k of `each` with the state after k iterations.

    It is the beginning of a full training of the study's recipe: later rewinding goes back to it (Frankle et al., ICML
    2020). `seed` fixes the batches, so that the state after fewer iterations lies on the way to that after more. Goes
    on from the furthest of `checkpoints`. Raises InputError where it diverges, LeaveRequested where the marker `leave`
    is made.
    """
    device = next(model.parameters()).device
    total, recipe = schedule_iterations(study, data), pretraining_recipe(study)
    training = MaskedTraining(model, None, data, recipe, total, derive(seed, "pretraining"), device, Fixed())
    resumable = ResumableTraining(training, checkpoints, study.faults.checkpoint_seconds, leave)
    for iterations in sorted(k for k in set(each) if k):
        try:
            resumable.run_to(iterations)
        except Diverged as error:
            raise InputError(
                f"dense pretraining {error}; lower training.learning_rate, or leave pretraining out"
            ) from error
        yield iterations, initial_state(training.model)
