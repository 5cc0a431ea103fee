"""A study in memory, as a sampler sees it."""

import copy
import heapq
from collections.abc import Container, Mapping, Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

#: Ended trials that TPE is shown: it takes a tenth for good and contrasts them with the others. On a noisy quadratic of
#: 50 dimensions and a source, the best of 1,000 trials were better than with all trials shown, for each of four seeds.
BEST, LATEST = 10, 90

T = TypeVar("T", int, tuple[float, int])

#: How the key of an attribute of a trial begins that its sampler noted on the study.
OF_STUDY = "study:"


class SampledStudy(optuna.storages.InMemoryStorage):
    """An Optuna study in its own storage; all of its values are maximised.

    With `window`, its sampler is shown the trials that are running and, of those that ended, the best and the latest
    ones: what TPE takes to propose is in proportion to the trials that it sees.
    """

    def __init__(self, directions: int, window: bool = False):
        super().__init__()
        self.study = optuna.create_study(storage=self, directions=["maximize"] * directions)
        self._window = window
        self._spaces: dict[frozenset[str], dict[str, BaseDistribution]] = {}
        self._running: set[int] = set()
        self._latest: list[int] = []
        self._best: list[tuple[float, int]] = []

    def ask(self, sampler: optuna.samplers.BaseSampler, given: Mapping[str, Any]) -> Trial:
        """Return a new trial of `sampler` in which the `given` parameters have these values."""
        self.study.sampler = sampler
        if given:
            self.study.enqueue_trial(dict(given))
        return self.study.ask()

    def asked(self, trial_id: int) -> FrozenTrial:
        """Return a trial whose parameters are all known; it shares its distributions with the trials of the same space.

        Otherwise thousands of trials would each hold an object for each layer.
        """
        trial = self.get_trial(trial_id)
        trial.distributions = self._spaces.setdefault(frozenset(trial.distributions), trial.distributions)
        return trial

    def add(self, trial: FrozenTrial) -> int:
        """Add a trial with its parameters, and with what its sampler noted, as one that is running; return its id."""
        known = copy.copy(trial)
        known.state, known.values, known.datetime_complete = TrialState.RUNNING, None, None
        # The storage would copy them deeply, one by one.
        known.distributions, known.intermediate_values, known.user_attrs = {}, {}, {}
        trial_id = self.create_new_trial(self.study._study_id, known)
        for key, value in trial.system_attrs.items():
            if key.startswith(OF_STUDY):
                super().set_study_system_attr(self.study._study_id, key.removeprefix(OF_STUDY), value)
        self.get_trial(trial_id).distributions = trial.distributions
        self.asked(trial_id)
        return trial_id

    def end(self, trial_id: int, state: TrialState, values: Sequence[float] | None, steps: Mapping[int, float]) -> None:
        """End a trial in `state`, with its `values` and what it reached by step."""
        for step, value in steps.items():
            self.set_trial_intermediate_value(trial_id, step, value)
        self.set_trial_state_values(trial_id, state, values)
        self._running.remove(trial_id)
        if self._window and state is not TrialState.FAIL:
            _keep_greatest(self._latest, trial_id, LATEST)
            if state is TrialState.COMPLETE and values is not None:
                _keep_greatest(self._best, (values[0], trial_id), BEST)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a trial and note that it is running; in the storage of one study a trial's id is its number."""
        self._newest = super().create_new_trial(study_id, template_trial)
        self._running.add(self._newest)
        return self._newest

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that the sampler is shown, in order of number."""
        if not self._window:
            return super().get_all_trials(study_id, deepcopy, states)
        shown = sorted(self._running.union(self._latest, (number for _, number in self._best)))
        trials = [trial for trial in map(self.get_trial, shown) if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Set it, and note it on the newest trial, to be recorded: NSGA-II keeps a generation's parents."""
        super().set_study_system_attr(study_id, key, value)
        self.set_trial_system_attr(self._newest, OF_STUDY + key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set it, unless TPE notes it for samplers in other processes: the parameters, once more."""
        if not key.startswith("tpe:"):
            super().set_trial_system_attr(trial_id, key, value)


def _keep_greatest(heap: list[T], item: T, most: int) -> None:
    heapq.heappush(heap, item)
    if len(heap) > most:
        heapq.heappop(heap)
