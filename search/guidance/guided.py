"""The guided study: an Optuna sampler and the trials that it sees, held in memory and rebuilt from the record."""

import copy
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from ...models.seeds import derive
from ..protocol.proposal import Value
from ..samplers.registry import sampler_called
from .sampled import SampledStudy

optuna.logging.set_verbosity(optuna.logging.WARNING)

T = TypeVar("T")

#: Parameters of a trial whose values its sampler does not choose.
Given = Mapping[str, Value]

_NOTHING: Given = {}


class GuidedStudy:
    """A study whose trials one of Optuna's samplers proposes.

    It holds nothing that the record does not: once it has learned every recorded trial, it proposes what the study that
    proposed those would propose next. For that, the sampler is seeded anew for each trial by its number.
    """

    def __init__(self, sampler: str, seed: int, directions: int = 1):
        """Begin without trials; `sampler` is one of [search] sampler, a trial has `directions` values to maximise."""
        self._sampler = sampler_called(sampler)
        self._seed = seed
        self._directions = directions
        self._studies: dict[str, SampledStudy] = {}
        self._spaces: dict[str, dict[str, BaseDistribution]] = {}
        self._asked: Counter[str] = Counter()
        self._running: dict[int, tuple[SampledStudy, int]] = {}

    def ask(self, number: int, suggest: Callable[[Trial], T], given: Given = _NOTHING) -> tuple[T, FrozenTrial]:
        """Return what `suggest` makes of the new trial `number`, and this trial as it is to be recorded: running.

        The `given` parameters have these values, and a study of their own proposes the others.
        """
        key = _key(given)
        space = self._spaces.get(key)
        if space is None:
            # A trial that is thrown away defines the space of the first one: CMA-ES starts in the middle of it.
            rehearsal = SampledStudy(self._directions).ask(optuna.samplers.RandomSampler(seed=0), given)
            suggest(rehearsal)
            space = rehearsal.distributions
        # In the order of names: a database may give them back in another order than they were asked in.
        drawn = {name: space[name] for name in sorted(space.keys() - given.keys()) if not space[name].single()}
        seed = derive(self._seed, "sobol") if self._sampler.one_sequence else derive(self._seed, "sampler", number)
        study = self._study(key)
        trial = study.ask(self._sampler.build(seed % 2**32, drawn, self._asked[key]), given)
        asked = suggest(trial)
        frozen = study.asked(trial._trial_id)
        self._note(frozen, key)
        if self._sampler.learns:
            self._running[number] = (study, trial._trial_id)
        # The caller adds what is to be recorded to a trial of its own.
        return asked, copy.copy(frozen)

    def learn(self, trial: FrozenTrial, given: Given = _NOTHING, taught: TrialState | None = None) -> None:
        """Take up a recorded trial in any state, as if it had been asked for; call it in order of number.

        `taught` is the state that it taught when it ended, where that is another than the recorded one.
        """
        key = _key(given)
        self._note(trial, key)
        if self._sampler.learns:
            study = self._study(key)
            self._running[trial.number] = (study, study.add(trial))
        if trial.state.is_finished():
            state = taught or trial.state
            values = trial.values if state is TrialState.COMPLETE else None
            self.tell(trial.number, state, values, trial.intermediate_values)

    def tell(
        self,
        number: int,
        state: TrialState,
        values: Sequence[float] | None = None,
        intermediate: Mapping[int, float] | None = None,
    ) -> None:
        """End trial `number`: COMPLETE with its values, PRUNED with what it reached by step, or FAIL.

        Nothing is learned from a trial that failed. Raises ValueError where a number is not finite.
        """
        steps = dict(intermediate or {})
        if not all(map(math.isfinite, [*(values or ()), *steps.values()])):
            raise ValueError(f"only finite numbers reach a sampler, but trial {number} has {values} and {steps}")
        if state is TrialState.PRUNED and steps:
            values = [steps[max(steps)]]
            if self._sampler.complete_only:
                state = TrialState.COMPLETE
        if self._sampler.learns:
            study, trial_id = self._running.pop(number)
            study.end(trial_id, state, values, steps)

    def _study(self, key: str) -> SampledStudy:
        """Return the study of given parameters; a new one each time for samplers that learn nothing."""
        study = self._studies.get(key)
        if study is None:
            study = SampledStudy(self._directions, window=self._sampler.windowed and self._directions == 1)
            if self._sampler.learns:
                self._studies[key] = study
        return study

    def _note(self, trial: FrozenTrial, key: str) -> None:
        """Count the trial, and keep the parameters that all trials have in common."""
        space = self._spaces.get(key, trial.distributions)
        self._spaces[key] = {name: one for name, one in space.items() if name in trial.distributions}
        self._asked[key] += 1


def _key(given: Given) -> str:
    """Return what the study of given parameters is called."""
    return json.dumps(dict(given), sort_keys=True)
