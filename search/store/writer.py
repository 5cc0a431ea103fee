"""Writing to the ledger of a study, for the driver that holds its lock."""

import contextlib
from collections.abc import Callable, Mapping, Sequence

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..names import Attribute, Metric
from ..protocol.outcome import Outcome
from ..protocol.proposal import Proposal
from ..protocol.report import Ended, Measured, Scored
from ..protocol.result import TrialResult
from .ledger import BASELINE, FINAL, MASKS, ROLES, TRAINING, Ledger
from .records import FinalRecord, TrialRecord

#: Optuna's own key of the names of a study's values.
_VALUE_NAMES = "study:metric_names"


class LedgerWriter(Ledger):
    """A ledger that keeps what came of a study.

    What is written of an attempt that is not the last one is refused, and so is a second end: the first stands. While a
    database is away, writing waits for it. `check` raises where the lock was lost; it is called before each writing.
    """

    def __init__(self, ledger: Ledger, check: Callable[[], None]) -> None:
        super().__init__(ledger.study, ledger.storage.direct)
        self._check = check
        self._study_ids = {role: self._open(role) for role in ROLES}
        self._trial_ids = {role: [trial._trial_id for trial in self.all_trials(role)] for role in (MASKS, TRAINING)}

    def _open(self, role: str) -> int:
        found = self.study_id(role)
        if found is None:
            names = self._value_names(role)
            found = self.storage.create_new_study([StudyDirection.MAXIMIZE] * len(names), f"{self.key}/{role}")
            self.storage.set_study_system_attr(found, _VALUE_NAMES, names)
        return found

    def _value_names(self, role: str) -> list[str]:
        """Return what the values of a role's trials are called, for the tools of Optuna."""
        if role == MASKS:
            return [
                Metric.ACCURACY_WARMUP if name == "accuracy" else Metric.score(name) for name in self.study.objectives
            ]
        return [Metric.ACCURACY_WARMUP if role == TRAINING else Metric.ACCURACY_VAL_FINAL]

    def give_up_when(self, give_up: Callable[[], bool]) -> None:
        """Stop waiting for a database that is away where `give_up` returns true."""
        self.storage.give_up = give_up

    @property
    def proposed(self) -> int:
        """Trials proposed so far, ended or not."""
        return len(self._trial_ids[MASKS])

    def trial(self, role: str, number: int) -> FrozenTrial:
        """Return Optuna's trial `number` of a role."""
        trial: FrozenTrial = self.storage.get_trial(self._trial_ids[role][number])
        return trial

    def create(self, role: str, trial: FrozenTrial) -> None:
        """Write a new trial of a role, whole, in one writing."""
        ids = self._trial_ids.setdefault(role, [])
        ids.append(self._create(role, len(ids), trial))

    def _create(self, role: str, number: int, trial: FrozenTrial) -> int:
        self._check()
        tried, study_id = False, self._study_ids[role]

        def create() -> int:
            nonlocal tried
            # Written, and the answer lost with the connection.
            if tried and len(there := self.all_trials(role)) > number:
                return there[number]._trial_id
            tried = True
            return self.storage.direct.create_new_trial(study_id, trial)

        return self.storage.retry(create)

    def repropose(self, number: int) -> Proposal | None:
        """Return the proposal of the next attempt of a trial, written; None where the trial has ended."""
        trial = self.trial(MASKS, number)
        if trial.state.is_finished():
            return None
        proposal = TrialRecord.of(trial).proposal.again()
        self._set(number, Attribute.ATTEMPT, proposal.attempt)
        return proposal

    def scored(self, number: int, attempt: int, report: Scored) -> bool:
        """Write the first result of a trial; return whether it was taken."""
        return self._write(number, attempt, {Attribute.SCORED: report.to_dict()})

    def measured(self, number: int, attempt: int, report: Measured) -> bool:
        """Write a measurement of a trial's warm-up; return whether it was taken."""
        taken = self._write(number, attempt, {f"{Attribute.MEASURED}{report.iteration}": report.to_dict()})
        if taken:
            # As a curve, for the tools of Optuna.
            trial_id = self._trial_ids[MASKS][number]
            self.storage.set_trial_intermediate_value(trial_id, report.iteration, report.accuracy)
        return taken

    def ended(self, number: int, attempt: int, report: Ended) -> bool:
        """Write how a trial reports its end, before that is decided; return whether it was taken."""
        return self._write(number, attempt, {Attribute.END: report.to_dict()})

    def lost(self, number: int, attempt: int, reached: int) -> int:
        """Write that a worker died whose trial had reached so many iterations.

        Returns how often workers of this trial died there in a row; 0 where the attempt is not the last one.
        """
        if not self.is_current(number, attempt):
            return 0
        before = self.trial(MASKS, number).user_attrs
        # A driver may have died between the two writings.
        times = before.get(Attribute.LOST, 0) + 1 if before.get(Attribute.REACHED) == reached else 1
        self._set(number, Attribute.REACHED, reached)
        self._set(number, Attribute.LOST, times)
        return times

    def finish(self, number: int, attempt: int, outcome: Outcome, result: TrialResult) -> bool:
        """Write a trial's end, its result first, so that no end is ever without one; return whether it was taken."""
        attributes = {Attribute.RESULT: result.to_dict(), Attribute.OUTCOME: outcome.value}
        return self._write(number, attempt, attributes)

    def close(
        self, role: str, number: int, state: TrialState, values: Sequence[float] | None, steps: Mapping[int, float]
    ) -> bool:
        """Close Optuna's trial of a role with its values, and those at `steps`; return whether it was open."""
        trial_id = self._trial_ids[role][number]
        if self.storage.get_trial(trial_id).state.is_finished():
            return False
        # Closed already where the answer was lost with the connection.
        with contextlib.suppress(UpdateFinishedTrialError):
            for step, value in steps.items():
                self.storage.set_trial_intermediate_value(trial_id, step, value)
            self.storage.set_trial_state_values(trial_id, state, values)
        return True

    def is_current(self, number: int, attempt: int) -> bool:
        """Return whether an attempt is the last one of a trial that has not ended."""
        self._check()
        trial = self.trial(MASKS, number)
        ended = trial.state.is_finished() or Attribute.OUTCOME in trial.user_attrs
        return not ended and trial.user_attrs[Attribute.ATTEMPT] == attempt

    def _write(self, number: int, attempt: int, attributes: Mapping[str, object]) -> bool:
        """Write attributes of a trial in their order, if the attempt is current; return whether it is."""
        taken = self.is_current(number, attempt)
        if taken:
            for key, value in attributes.items():
                self._set(number, key, value)
        return taken

    def _set(self, number: int, key: str, value: object) -> None:
        self.storage.set_trial_user_attr(self._trial_ids[MASKS][number], key, value)

    def record_final(self, record: FinalRecord) -> None:
        """Write the end of a full training; a second end of one that finished or diverged is refused.

        The check of another trial is another training: its end takes the place of the former.
        """
        if any(done.settles(record.label, record.of) for done in self.finals()):
            return
        state = TrialState.FAIL if record.accuracy_val is None else TrialState.COMPLETE
        trial = create_trial(state=state, value=record.accuracy_val, user_attrs=record.to_attributes())
        role = BASELINE if record.label.is_baseline else FINAL
        self._create(role, len(self.all_trials(role)), trial)

    def record_runs(self, runs: Mapping[str, str]) -> None:
        """Write the MLflow run ids of runs by their keys; those that are known are passed over."""
        known = self.runs()
        if new := {key: run for key, run in runs.items() if known.get(key) != run}:
            # One writing for all of them; what is written later is read later.
            block = f"{Attribute.RUNS}{len(self.run_blocks()):06d}"
            self.storage.set_study_user_attr(self._study_ids[MASKS], block, new)


def take_over(ledger: Ledger, check: Callable[[], None] = lambda: None) -> LedgerWriter:
    """Return what writes to the study of `ledger`, whose Optuna studies are made; for the holder of the lock alone.

    `check` raises where the lock was lost; it is called before each writing.
    """
    return LedgerWriter(ledger, check)
