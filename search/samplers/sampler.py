"""What a sampler is: it proposes the next trial of a study."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


class Sampler(ABC):
    """A way to propose trials. A new one overrides `build` and has a line in the registry.

    It imports Optuna in `build` only, because names are checked without it.
    """

    #: Whether it learns from the results of trials.
    learns = True
    #: Whether all its trials must have the same parameters, so that it cannot choose among groups of masks itself.
    per_group = False
    #: Whether it ignores a trial that was stopped early; what the trial had reached is then its result.
    complete_only = False
    #: Whether it can be guided by more than one objective.
    several_objectives = True
    #: Whether its time to propose grows with the number of trials, so that only some are shown to it.
    windowed = False
    #: Whether its trials are one sequence of one seed; others are seeded anew for each trial.
    one_sequence = False

    @abstractmethod
    def build(self, seed: int, space: "Mapping[str, BaseDistribution]", asked: int) -> "BaseSampler":
        """Return Optuna's sampler for one trial.

        `space` holds the parameters that all trials of the study have and that have more than one value; `asked` is
        how many trials were asked for before, which is where a sequence goes on.
        """
