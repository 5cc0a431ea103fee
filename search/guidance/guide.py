"""What proposes: an Optuna sampler and what it sees of a study, held in memory and rebuilt from the record."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from ...models.seeds import derive
from .mirror import Mirror
from .samplers import BLIND, COMPLETE_ONLY, make_sampler

optuna.logging.set_verbosity(optuna.logging.WARNING)

T = TypeVar("T")


class Guide:
    """Proposes trials by one of Optuna's samplers.

    It holds nothing that the record does not: a guide that has learned every recorded trial proposes what the one
    that proposed those would propose next. For that, the sampler is seeded anew for each trial by its number.
    """

    def __init__(self, sampler: str, seed: int, directions: int = 1):
        """`sampler` is a name of [search] sampler; a trial has `directions` values, each to be maximised."""
        self._sampler = sampler
        self._seed = seed
        self._directions = directions
        self._mirrors: dict[str, Mirror] = {}
        self._spaces: dict[str, dict[str, BaseDistribution]] = {}
        self._asked: Counter[str] = Counter()
        self._running: dict[int, tuple[Mirror, int]] = {}

    def ask(self, number: int, suggest: Callable[[Trial], T], source: str = "") -> tuple[T, FrozenTrial]:
        """What `suggest` makes of the new trial `number`, and this trial as it is to be recorded: running.

        With `source`, it is asked of the study of this source, and its parameter "source" has this value.
        """
        given = {"source": source} if source else {}
        space = self._spaces.get(source)
        if space is None:
            # The first trial's space is told by one that is thrown away: CMA-ES starts in the middle of it.
            rehearsal = Mirror(self._directions).ask(optuna.samplers.RandomSampler(seed=0), given)
            suggest(rehearsal)
            space = rehearsal.distributions
        # In the order of names: a database may give them back in another order than they were asked in.
        drawn = {name: space[name] for name in sorted(space.keys() - given.keys())}
        # Sobol's sequence is one for all trials, the other samplers are seeded for each.
        seed = derive(self._seed, "sobol") if self._sampler == "qmc" else derive(self._seed, "sampler", number)
        mirror = self._mirror(source)
        trial = mirror.ask(make_sampler(self._sampler, seed % 2**32, drawn, self._asked[source]), given)
        asked = suggest(trial)
        frozen = mirror.asked(trial._trial_id)
        self._note(frozen, source)
        if self._sampler not in BLIND:
            self._running[number] = (mirror, trial._trial_id)
        # The caller adds what is to be recorded to a trial of its own.
        return asked, copy.copy(frozen)

    def learn(self, trial: FrozenTrial, source: str = "") -> None:
        """Takes up a recorded trial in any state, as if it had been asked for; to be called in order of number."""
        self._note(trial, source)
        if self._sampler not in BLIND:
            mirror = self._mirror(source)
            self._running[trial.number] = (mirror, mirror.add(trial))
        if trial.state.is_finished():
            values = trial.values if trial.state is TrialState.COMPLETE else None
            self.tell(trial.number, trial.state, values, trial.intermediate_values)

    def tell(
        self,
        number: int,
        state: TrialState,
        values: Sequence[float] | None = None,
        intermediate: Mapping[int, float] | None = None,
    ) -> None:
        """What came of trial `number`: COMPLETE with its values, PRUNED with what it reached by step, or FAIL.

        Of a trial that failed nothing is learned. Raises ValueError where a number is not finite.
        """
        steps = dict(intermediate or {})
        if not all(map(math.isfinite, [*(values or ()), *steps.values()])):
            raise ValueError(f"only finite numbers reach a sampler, but trial {number} has {values} and {steps}")
        if state is TrialState.PRUNED and steps:
            values = [steps[max(steps)]]
            if self._sampler in COMPLETE_ONLY:
                state = TrialState.COMPLETE
        if self._sampler not in BLIND:
            mirror, trial_id = self._running.pop(number)
            mirror.end(trial_id, state, values, steps)

    def _mirror(self, source: str) -> Mirror:
        """The study of a source; a new one each time for samplers that need none."""
        mirror = self._mirrors.get(source)
        if mirror is None:
            mirror = Mirror(self._directions, window=self._sampler == "tpe" and self._directions == 1)
            if self._sampler not in BLIND:
                self._mirrors[source] = mirror
        return mirror

    def _note(self, trial: FrozenTrial, source: str) -> None:
        """Counts the trial and keeps, of the space, what all trials have in common."""
        space = self._spaces.get(source, trial.distributions)
        self._spaces[source] = {name: one for name, one in space.items() if name in trial.distributions}
        self._asked[source] += 1
