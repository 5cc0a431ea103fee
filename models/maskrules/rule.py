"""A rule by which a mask changes while a network trains."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ..errors import InputError
from .schedule import Schedule


@dataclass(frozen=True, eq=False)
class Layer:
    """What a rule knows of one masked parameter: three tensors of its shape, on its device, which are read only.

    `mask` is boolean, True = kept; `weight` is exactly 0 where it is removed; `gradient` is that of the step before the
    update, before any clipping, of removed weights too. `count` is the number of weights that the rule must keep.
    """

    mask: torch.Tensor
    weight: torch.Tensor
    gradient: torch.Tensor
    count: int


@dataclass(frozen=True)
class MaskRule:
    """A mask that changes: `schedule` says when, `update` how.

    The number of weights that each layer keeps is exact at every update. A rule has no state: what it draws comes from
    the generator that it is given. A training clears the optimizer's state of weights that an update regrows, and holds
    those that it removes at zero.
    """

    schedule: Schedule = field(default_factory=Schedule)

    def due(self, iteration: int, total_iterations: int) -> bool:
        """Return whether the masks are updated after the step that is the `iteration`-th, from 1."""
        return self.schedule.due(iteration, total_iterations)

    def count(self, kept: int, size: int, iteration: int, total_iterations: int) -> int:
        """Return how many of a layer's `size` weights are kept after `iteration` steps, from 0.

        `kept` is the number that the given mask keeps. A rule that starts from another count than that starts with
        all weights kept, so that this must be `size`.
        """
        return kept

    def learning_rate_span(self, iteration: int, total_iterations: int) -> tuple[int, int]:
        """Return where the step from `iteration` (from 0) to the next stands in the learning rate's schedule.

        That is a position, from 0, and the length of the schedule; one is as long as the whole training, unless the
        rule begins it anew.
        """
        return iteration, total_iterations

    def check(self, total_iterations: int) -> None:
        """Raise `InputError` where the rule starts dense and no update is due in so many iterations.

        A training of that length would never come to the sparsity of its mask.
        """
        dense = self.count(1, 2, 0, total_iterations) == 2
        if not dense or any(self.due(iteration, total_iterations) for iteration in range(1, total_iterations + 1)):
            return
        schedule, last = self.schedule, self.schedule.last(total_iterations)
        way = f"set mask_every to {last} at most, or train for longer" if last >= 1 else "train for longer"
        raise InputError(
            f"the mask rule {type(self).__name__} starts with all weights kept and would remove none in "
            f"{total_iterations} iterations, as mask_every = {schedule.every} and mask_until = {schedule.until:g} make "
            f"no update in them; {way}"
        )

    def update(
        self, layers: Mapping[str, Layer], iteration: int, total_iterations: int, generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Return the new mask of each layer, by name: boolean, of the parameter's shape, with `Layer.count` weights.

        `generator` is on the CPU, seeded for this update alone. Ties break by index.
        """
        raise NotImplementedError


class Fixed(MaskRule):
    """The mask that never changes."""

    def due(self, iteration: int, total_iterations: int) -> bool:
        """Return False."""
        return False
