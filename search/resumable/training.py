"""Training that goes on from checkpoints, so that little of it is ever lost."""

import time
from typing import TypedDict, cast

from ...models.errors import InputError
from ...models.training import MaskedTraining
from ...models.trainingstate import TrainingState
from ..console import warn
from ..remote.mirror import Marker
from .checkpoints import Checkpoints

#: Iterations between two looks at the clock, and at whether to leave.
CHUNK = 10


class _Piece(TypedDict):
    """The progress within a piece."""

    reported: int
    accuracies: dict[int, float]
    coordinates: dict[int, dict[str, float]]
    loss: float
    """Sum of the losses since `reported`."""


class _Checkpoint(TrainingState):
    """The state of the training, and how far the piece has come."""

    piece: _Piece


class LeaveRequested(Exception):
    """Asked to leave: the checkpoint is saved, and another process can go on from it."""


class ResumableTraining:
    """A training that is run piece by piece: it saves checkpoints on the way, and leaves when it is asked to.

    It goes on from the furthest of `checkpoints` that is its own, if there is one: on the CPU to the same bits, mean
    losses included. One is saved where `every` seconds have passed since the last (0: after each chunk), and where the
    marker `leave` is there. Without `checkpoints` nothing is saved, without `leave` nobody can ask.
    """

    def __init__(
        self,
        training: MaskedTraining,
        checkpoints: Checkpoints | None = None,
        every: float = 0.0,
        leave: Marker | None = None,
    ):
        self.training = training
        self.reported = 0
        """The iteration that the last piece ended at, once `run_to` has returned from it; 0 before."""
        self.accuracies: dict[int, float] = {}
        """For whoever measures at the ends of pieces: accuracy by iteration, which travels with the checkpoints."""
        self.coordinates: dict[int, dict[str, float]] = {}
        """Likewise: the values of the coordinate by iteration."""
        self._loss = 0.0
        self._checkpoints = checkpoints
        self._every = every
        self._leave = leave
        for state in checkpoints.states() if checkpoints else ():
            try:
                self._restore(cast(_Checkpoint, state))
                break
            except InputError as error:
                warn(f"a checkpoint is passed over: {error}")
        self._saved, self._saved_at = training.iteration, time.monotonic()

    def run_to(self, iteration: int) -> float:
        """Train to `iteration`, counted from the start of the training, and return the mean loss since `reported`.

        Where a checkpoint was saved at the very end of a piece, whose mean may be lost, it returns the same mean again.
        Raises LeaveRequested, having saved, where it is asked to leave before; Diverged as `MaskedTraining.run` does;
        InputError for an iteration that is reported already, or is none of this training.
        """
        training = self.training
        if not self.reported < iteration <= training.total_iterations or iteration < training.iteration:
            first, last = max(self.reported + 1, training.iteration), training.total_iterations
            raise InputError(f"iteration must lie between {first} and {last}, but got {iteration}.")
        while True:
            leaving = self._leave is not None and self._leave.exists()
            if leaving or time.monotonic() - self._saved_at >= self._every:
                self._save()
            left = iteration - training.iteration
            if left == 0:
                break
            if leaving:
                raise LeaveRequested(f"left at iteration {training.iteration} of {training.total_iterations}")
            count = min(CHUNK, left)
            self._loss += count * training.run(count)
        mean = self._loss / (iteration - self.reported)
        self.reported, self._loss = iteration, 0.0
        return mean

    def _save(self) -> None:
        if self._checkpoints is not None and self.training.iteration != self._saved:
            piece = _Piece(
                reported=self.reported, accuracies=self.accuracies, coordinates=self.coordinates, loss=self._loss
            )
            self._checkpoints.save(self.training.state_dict() | {"piece": piece})
            self._saved, self._saved_at = self.training.iteration, time.monotonic()

    def _restore(self, state: _Checkpoint) -> None:
        self.training.load_state_dict(state)
        self.reported = state["piece"]["reported"]
        self.accuracies = state["piece"]["accuracies"]
        # Checkpoints of earlier versions have none.
        self.coordinates = state["piece"].get("coordinates", {})
        self._loss = state["piece"]["loss"]
