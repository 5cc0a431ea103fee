"""The proposer: it proposes the trials of a study, and its samplers learn from their ends."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import replace

from optuna.trial import TrialState

from ...models.seeds import derive
from ..config.study import Study
from ..names import Metric
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal, Values
from ..protocol.result import TrialResult
from ..store.ledger import MASKS, TRAINING
from ..store.records import TrialRecord
from ..store.writer import LedgerWriter
from .groups import Groups
from .guided import GuidedStudy
from .rankings import Rankings
from .space import suggest_mask, suggest_training


class Proposer:
    """Proposes the trials of a study over the prunable `parameters`, and teaches the samplers their ends.

    It takes up what another driver left: trials that have not ended are proposed again, ends that the samplers were not
    taught are taught. A proposal is written whole, with its attempt, before it is handed out.
    """

    def __init__(
        self, study: Study, ledger: LedgerWriter, parameters: Sequence[str], groups: Groups | None = None
    ) -> None:
        self._study = study
        self._ledger = ledger
        self._parameters = list(parameters)
        self._masks = GuidedStudy(study.search.sampler, study.seed, len(study.objectives))
        self._training = GuidedStudy(study.search.sampler, derive(study.seed, "training"))
        self._groups = groups or Groups(study)
        self._rankings = Rankings(study)
        self._retries: list[int] = []
        """Trials to be proposed again, a heap."""
        self._take_up()

    def _take_up(self) -> None:
        masks, training = self._ledger.all_trials(MASKS), self._ledger.all_trials(TRAINING)
        self._proposed_training = len(training)
        for trial, beside in zip(training, masks, strict=False):
            outcome = TrialRecord.of(beside).outcome
            # A training that diverged is worse than any other; one that there never was teaches nothing.
            nothing = trial.state is TrialState.PRUNED and not trial.intermediate_values
            nothing &= outcome is not Outcome.DIVERGED
            self._training.learn(trial, taught=TrialState.FAIL if nothing else None)
        for trial in masks:
            record = TrialRecord.of(trial)
            taught = TrialState.FAIL if trial.state is TrialState.PRUNED else None
            self._masks.learn(trial, self._groups.given_before(record.distribution), taught)
            self._groups.proposed(record.number, record.distribution.group)
            if record.outcome:
                self._groups.learn(record)
            self._rankings.take_up(record)
        for record in (TrialRecord.of(trial) for trial in masks if not trial.state.is_finished()):
            if record.outcome:
                self.learn(record.number, record.outcome, record.result)
            elif record.end is None:
                self.retry(record.number)

    def retry(self, number: int) -> None:
        """Let a trial be proposed again."""
        heapq.heappush(self._retries, number)

    def propose(self, new: bool = True) -> Proposal | None:
        """Return the next trial; None when there is none. Those to be run again come first, the lowest number first.

        Without `new` there is none but those.
        """
        while self._retries:
            if (proposal := self._ledger.repropose(heapq.heappop(self._retries))) is not None:
                return proposal
        study, number = self._study, self._ledger.proposed
        if not new or number >= study.search.trials:
            return None
        training = self._propose_training(number)
        choice = self._groups.choose(number)
        distribution, trial = self._masks.ask(
            number,
            lambda asked: suggest_mask(asked, study, self._parameters),
            choice.given,
        )
        self._groups.proposed(number, distribution.group)
        seed, ranking = derive(study.seed, "trial", number), self._rankings.of(distribution)
        proposal = Proposal(number, 1, seed, distribution, training, ranking, choice.reason)
        trial.user_attrs = proposal.to_dict()
        self._ledger.create(MASKS, trial)
        return proposal

    def _propose_training(self, number: int) -> Values:
        if not self._study.training.searched():
            return {}
        if number < self._proposed_training:
            # The driver before this one died between the two halves of its proposal.
            stored = self._ledger.trial(TRAINING, number)
            self._training.learn(stored)
            return dict(stored.params)
        values, trial = self._training.ask(number, lambda asked: suggest_training(asked, self._study.training))
        self._ledger.create(TRAINING, trial)
        return values

    def learn(self, number: int, outcome: Outcome, result: TrialResult) -> None:
        """Teach the samplers the end of a trial: `training` its warm-up accuracy, `masks` its objectives.

        Only finite numbers reach them. The learned score takes what the warm-up came to.
        """
        record = TrialRecord.of(self._ledger.trial(MASKS, number))
        self._groups.learn(replace(record, outcome=outcome, result=result))
        self._rankings.learn(number, record.distribution, outcome, result)
        if self._study.training.searched():
            state, accuracy = _training_lesson(outcome, result)
            # A trial that was stopped trained for less than the others: its accuracy is one on the way.
            steps = {result.iterations: accuracy} if state is TrialState.PRUNED and accuracy is not None else {}
            values = [accuracy] if state is TrialState.COMPLETE and accuracy is not None else None
            if self._ledger.close(TRAINING, number, _shown(state, outcome), values, steps):
                self._training.tell(number, state, values, steps)
        values = self._objectives(outcome, result)
        # `masks` last: as long as it is open there, a restart teaches both.
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        if self._ledger.close(MASKS, number, _shown(state, outcome), values, {}):
            self._masks.tell(number, state, values)

    def _objectives(self, outcome: Outcome, result: TrialResult) -> list[float] | None:
        """Return the objectives of a trial; None where it lacks one."""
        if outcome is Outcome.FAILED:
            return None
        others = (_objective(name, outcome, result) for name in self._study.objectives[1:])
        values = [result.objective, *others]
        finite = [value for value in values if value is not None and math.isfinite(value)]
        return finite if len(finite) == len(values) else None


def _objective(name: str, outcome: Outcome, result: TrialResult) -> float | None:
    if name != "accuracy":
        return result.metrics.get(Metric.score(name))
    # The accuracy after a part of the warm-up is another quantity.
    return result.accuracy if outcome is Outcome.FINISHED else None


def _shown(state: TrialState, outcome: Outcome) -> TrialState:
    """Return the state in which the tools of Optuna see a trial that teaches `state`.

    One that teaches nothing, because it lacks a value, did not fail for that: gate, rung or guard stopped it.
    """
    return TrialState.PRUNED if state is TrialState.FAIL and outcome is not Outcome.FAILED else state


def _training_lesson(outcome: Outcome, result: TrialResult) -> tuple[TrialState, float | None]:
    """Return the state and the accuracy that the end of a trial teaches about its training settings."""
    if outcome is Outcome.FINISHED and result.accuracy is not None:
        return TrialState.COMPLETE, result.accuracy
    if outcome is Outcome.STOPPED_EARLY and result.accuracy is not None:
        return TrialState.PRUNED, result.accuracy
    if outcome is Outcome.DIVERGED:
        # Pruned without a value: ranked below every trial that trained.
        return TrialState.PRUNED, None
    return TrialState.FAIL, None
