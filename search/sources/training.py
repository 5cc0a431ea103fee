"""A mask source that trains: in rounds, under the mask so far, going on from its checkpoints."""

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from ...models.errors import InputError
from ...models.masks import MaskSet
from ...models.seeds import derive
from ..console import warn
from ..resumable.checkpoints import Checkpoints, next_checkpoints
from ..resumable.training import ResumableTraining
from .rounds import Removal, schedule
from .setting import Setting
from .source import Source


class TrainingSource(Source):
    """A source that trains for `setting.round_iterations` steps a round, then removes the weights of lowest saliency.

    After each round the weights that are left are rewound: the next round begins at `begin` again, under the mask so
    far and with batches of its own. A new source overrides `saliency`; `begin` where it trains something else than the
    weights, and `carried` where that goes on from one round to the next.

    Its progress lies under `setting.training.checkpoints`: the rounds that are done, and the training of the round at
    hand. A process that goes on from there comes, on a CPU, to the same scores to the bit.
    """

    trains = True
    data_driven = True
    default_rounds = 9

    @abstractmethod
    def saliency(self, setting: Setting, trained: nn.Module, seed: int) -> Mapping[str, Tensor | np.ndarray]:
        """Return the saliency (>= 0) of each of `setting.weights` by name, after a round that made `trained`."""

    def begin(
        self, setting: Setting, left: Mapping[str, np.ndarray], seed: int, carried: Mapping[str, Tensor] | None
    ) -> tuple[nn.Module, MaskSet | None]:
        """Return what a round trains, and the masks that it does so under: by default the network, the weights `left`.

        `carried` is what the round before left to this one; None in the first round. The network of `setting` stays.
        """
        return copy.deepcopy(setting.model), MaskSet(left)

    def carried(self, trained: nn.Module) -> dict[str, Tensor]:
        """Return what `begin` of the next round needs of this one, which made `trained`: nothing, by default."""
        return {}

    def cost(self, setting: Setting) -> int:
        """Return rounds times iterations of each."""
        return setting.rounds * setting.round_iterations

    def check(self, setting: Setting) -> None:
        """Raise InputError where a round would remove nothing."""
        counts = [setting.size, *schedule(setting, _kept)]
        empty = next((n for n, (before, after) in enumerate(pairwise(counts), 1) if after >= before), None)
        if empty is not None:
            left, sparsity = counts[empty - 1], 1 - setting.kept / setting.size
            raise InputError(
                f"search.rounds = {setting.rounds}: round {empty} would remove none of {left:,} weights, on the way "
                f"to sparsity {sparsity:.4g}; take fewer rounds, or a higher sparsity"
            )

    def try_out(self, setting: Setting) -> None:
        """Do one round of one step."""
        self.scores(setting, 0)

    def scores(self, setting: Setting, seed: int) -> dict[str, np.ndarray]:
        removal = Removal(setting, _kept)
        kept, carried = self._progress(setting, removal)
        while not removal.done:
            number = removal.round
            own = derive(seed, "round", number)
            model, masks = self.begin(setting, removal.left, own, carried)
            trained = self._trained(setting, model, masks, own, number)
            removal.remove(self.saliency(setting, trained, own))
            carried = self.carried(trained)
            if kept:
                kept.save(removal.state_dict() | {"carried": carried})
                self._checkpoints(setting, number).clear()
        return removal.scores()

    def _progress(self, setting: Setting, removal: Removal) -> tuple[Checkpoints | None, Mapping[str, Tensor] | None]:
        """Take up the rounds that are done already; return where the others are to be kept, and what is carried on."""
        if (folder := setting.training.checkpoints) is None:
            return None, None
        kept = next_checkpoints(folder / "rounds", setting.training.mirror)
        for state in kept.states():
            try:
                removal.load_state_dict(state)
                return kept, state["carried"]
            except InputError as error:
                warn(f"a checkpoint is passed over: {error}")
        return kept, None

    def _trained(self, setting: Setting, model: nn.Module, masks: MaskSet | None, seed: int, number: int) -> nn.Module:
        """Return `model` after the training of a round."""
        training, how = setting.masked_training(model, masks, seed), setting.training
        checkpoints = self._checkpoints(setting, number) if how.checkpoints else None
        ResumableTraining(training, checkpoints, how.every, how.leave).run_to(training.total_iterations)
        return training.model

    def _checkpoints(self, setting: Setting, number: int) -> Checkpoints:
        assert setting.training.checkpoints is not None, "asked for where progress is kept"
        return next_checkpoints(setting.training.checkpoints / f"round-{number}", setting.training.mirror)


def _kept(density: float, size: int) -> int:
    """Return the number of weights that are kept, to the nearest."""
    return math.floor(density * size + 0.5)
