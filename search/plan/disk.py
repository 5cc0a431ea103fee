"""The disk that a search takes."""

from dataclasses import dataclass
from typing import Self

from .workload import Workload

#: Bytes of a weight.
_FLOAT = 4

#: Checkpoints of a training that are kept, and what one holds of each parameter: itself, its momentum, its mask.
_CHECKPOINTS, _HELD = 2, 3


@dataclass(frozen=True)
class Disk:
    """Bytes of a study's folder; an MLflow server elsewhere keeps the trials' part once more."""

    trials: float
    """Masks and tables of the trials."""
    trainings: float
    """Weights: initial ones, pretrained ones, those at the ends of full trainings, the scores of sources that train."""
    passing: float
    """Checkpoints, at most at once; gone at the end."""

    @property
    def total(self) -> float:
        """What is there at the end."""
        return self.trials + self.trainings

    @classmethod
    def of(cls, work: Workload, trial_bytes: float, at_once: int) -> Self:
        """Return the disk of a study of which so many trials train at once, each of which leaves `trial_bytes`."""
        study, state = work.study, work.parameters * _FLOAT
        top_k = study.final.top_k
        finalists = len(work.trials) if isinstance(top_k, str) else top_k
        states = len([k for k in study.pretraining.each if k]) + 1 + finalists
        scores = len({trial.key for trial in work.trials if trial.steps}) * work.weights * _FLOAT
        return cls(
            len(work.trials) * trial_bytes, states * state + scores, max(1, at_once) * _CHECKPOINTS * _HELD * state
        )
