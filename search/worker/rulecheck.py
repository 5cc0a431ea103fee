"""Whether the mask rules of a study reach their masks in its trainings, found out before anything is started."""

from collections.abc import Callable
from itertools import product

from ...models.batches import batches_per_epoch
from ...models.data import Data
from ...models.errors import InputError
from ...models.recipe import Recipe
from ..config.searchable import values_of
from ..config.study import Study


def check_mask_rules(study: Study, data: Data) -> None:
    """Raise InputError as `MaskRule.check` does for the warm-up and the full training of a study, where it has them.

    Of searched settings every combination is tried, so that no trial fails of one.
    """
    if iterations := study.warmup.iterations:
        _check(study, lambda batch_size: iterations, f"warmup.iterations = {iterations}")
        if study.final.top_k:
            check_full_training(study, data)


def check_full_training(study: Study, data: Data) -> None:
    """Raise InputError as `MaskRule.check` does for a full training with the settings of `study`."""
    epochs, train = study.final.epochs, data.splits["train"]
    _check(study, lambda batch_size: epochs * batches_per_epoch(train, batch_size), f"final.epochs = {epochs}")


def _check(study: Study, iterations: Callable[[int], int], what: str) -> None:
    """Check every rule over the iterations that a training with a batch size has; `what` names their setting."""
    training = study.training
    settings = (training.mask, training.mask_every, training.mask_until, training.batch_size)
    for mask, every, until, batch_size in product(*map(values_of, settings)):
        rule = Recipe(mask=mask, mask_every=every, mask_until=until).build_mask_rule()
        try:
            rule.check(iterations(batch_size))
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
