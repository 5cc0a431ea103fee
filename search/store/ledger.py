"""The truth about a study: what was proposed, what came of it, held in Optuna studies that any Optuna tool opens."""

import contextlib
import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ...models.seeds import derive
from ..config.study import Study
from ..guidance.guide import Guide
from ..guidance.space import source_of, suggest_mask, suggest_training
from ..protocol.outcome import Outcome
from ..sampling.distribution import MaskDistribution
from .storage import Patient


@dataclass(frozen=True)
class TrialRecord:
    """What the ledger knows of one trial."""

    number: int
    attempt: int
    seed: int
    distribution: MaskDistribution
    training: dict[str, Any]
    """Values of the searched training settings."""
    outcome: Outcome | None
    """None while the trial has not ended."""
    result: dict[str, Any]
    """Last value of everything the trial reported, by the names of the record; empty while it has not ended."""
    scored: dict[str, Any] | None
    """Its first result, from its spectral score to its digest; None while that is not known."""
    measured: dict[int, dict[str, float]]
    """What was measured in the warm-up, by iteration: validation accuracy and training loss."""
    end: dict[str, Any] | None
    """How it says that it ended, where gate or rungs have still to say whether it got so far."""
    lost: int
    """Times that its worker died where it was when that happened last."""
    ended_at: datetime | None
    """When it ended."""

    @property
    def label(self) -> str:
        """The name of the trial's final training."""
        return f"trial {self.number}"

    @property
    def proposal(self) -> dict[str, Any]:
        """What was proposed, as plain values."""
        return {
            "number": self.number,
            "attempt": self.attempt,
            "seed": self.seed,
            "distribution": self.distribution.to_dict(),
            "training": self.training,
        }


@dataclass(frozen=True)
class FinalRecord:
    """The full training of one mask or baseline."""

    label: str
    """`trial N`, or the baseline's name."""
    outcome: Outcome
    accuracy_val: float | None
    """None where the training diverged or failed."""
    accuracy_final: float | None
    """Accuracy on the test split, which decides nothing; None where the training diverged or failed."""
    result: dict[str, Any]

    @property
    def of(self) -> str | None:
        """The trial whose mask it checks; None where it checks none."""
        return self.result.get("of")

    def settles(self, label: str, of: str | None) -> bool:
        """Whether that training needs no other: one that failed is tried again, and each winner has its own checks."""
        return (self.label, self.of) == (label, of) and self.outcome is not Outcome.FAILED


class Ledger:
    """Reads what is known of a study; once it has taken over, proposes trials and keeps what came of them.

    Three Optuna studies share one storage: `masks`, whose values are the study's objectives; `training`, guided by
    warm-up accuracy, in which trials that never trained teach nothing; and `final`. A proposal is written whole, with
    its attempt, before it is handed out. What is written of an attempt that is not the last one is refused, and so is
    a second end: the first stands. While a database is away, writing waits for it (see `patiently`).
    """

    def __init__(self, study: Study, storage: optuna.storages.BaseStorage):
        """Reads `study` from `storage`, in which it need not be yet."""
        self._study = study
        self._key = study.id
        self._storage = Patient(storage)
        self._ids: list[int] = []
        """Optuna's ids of the trials of `masks`, by number."""
        self._again: list[int] = []
        """Trials to be proposed again, a heap."""

    def _id(self, role: str) -> int | None:
        try:
            return self._storage.get_study_id_from_name(f"{self._key}/{role}")
        except KeyError:
            return None

    def _all(self, role: str) -> list[FrozenTrial]:
        study_id = self._id(role)
        return [] if study_id is None else self._storage.get_all_trials(study_id, deepcopy=False)

    # What is known

    def trials(self) -> list[TrialRecord]:
        """Every trial, in order of number."""
        return [_record(trial) for trial in self._all("masks")]

    def finals(self) -> list[FinalRecord]:
        """The last end of every full training that ended, in the order of ending."""
        found = {trial.user_attrs["label"]: trial for trial in self._all("final")}
        return [
            FinalRecord(
                label,
                Outcome(trial.user_attrs.get("outcome", Outcome.FINISHED)),
                trial.value,
                trial.user_attrs["accuracy/final"],
                trial.user_attrs["result"],
            )
            for label, trial in found.items()
        ]

    def runs(self) -> dict[str, str]:
        """MLflow run ids by the key of the run (`STUDY/trial N`)."""
        study_id = self._id("masks")
        attributes = {} if study_id is None else self._storage.get_study_user_attrs(study_id)
        written = [runs for key, runs in sorted(attributes.items()) if key.startswith("mlflow/")]
        return {key: run for runs in written for key, run in runs.items()}

    def pareto(self) -> list[int]:
        """Numbers of the trials that no other betters in every objective; of one objective, of the best ones."""
        study_id = self._id("masks")
        if study_id is None or len(self._study.objectives) == 1:
            return []
        study = optuna.load_study(study_name=f"{self._key}/masks", storage=self._storage.impatient)
        return sorted(trial.number for trial in study.best_trials)

    @property
    def proposed(self) -> int:
        """Trials proposed so far, ended or not."""
        return len(self._ids) or len(self._all("masks"))

    @property
    def remaining(self) -> int:
        """Trials still to be run: new ones, and those that have not ended."""
        return self._study.search.trials - sum("outcome" in trial.user_attrs for trial in self._all("masks"))

    # What is proposed, and what comes of it

    def hurried_by(self, hurried: Callable[[], bool]) -> None:
        """Stops waiting for a database that is away where `hurried` says so."""
        self._storage.hurried = hurried

    def take_over(self, parameters: Sequence[str], check: Callable[[], None] = lambda: None) -> None:
        """Takes up what another driver left, to propose masks of `parameters`; for the holder of the lock alone.

        Trials that have not ended are proposed again, ends that the samplers were not told are told. `check` raises
        where the lock was lost; it is asked before each writing.
        """
        self._check = check
        for role, directions in (("masks", len(self._study.objectives)), ("training", 1), ("final", 1)):
            if self._id(role) is None:
                name = f"{self._key}/{role}"
                self._storage.create_new_study([StudyDirection.MAXIMIZE] * directions, name)
        study = self._study
        self._parameters = list(parameters)
        self._masks = Guide(study.search.sampler, study.seed, len(study.objectives))
        self._training = Guide(study.search.sampler, derive(study.seed, "training"))
        masks, training = self._all("masks"), self._all("training")
        self._ids = [trial._trial_id for trial in masks]
        self._training_ids = [trial._trial_id for trial in training]
        for trial in training[: len(masks)]:
            self._training.learn(trial)
        for trial in masks:
            self._masks.learn(trial, source_of(study, trial.number))
        self._again = []
        for trial in masks:
            if not trial.state.is_finished():
                if "outcome" in trial.user_attrs:
                    record = _record(trial)
                    self._tell(trial.number, record.outcome, record.result)
                elif "end" not in trial.user_attrs:
                    heapq.heappush(self._again, trial.number)

    def propose(self) -> dict[str, Any] | None:
        """The next trial as plain values (number, attempt, seed, distribution, training); None when there is none.

        Those that have to be run again come first, the lowest number first.
        """
        while self._again:
            trial = self._storage.get_trial(self._ids[heapq.heappop(self._again)])
            if not trial.state.is_finished():
                return self._propose_again(_record(trial))
        if len(self._ids) >= self._study.search.trials:
            return None
        number = len(self._ids)
        training = self._propose_training(number)
        distribution, trial = self._masks.ask(
            number,
            lambda asked: suggest_mask(asked, self._study, self._parameters),
            source_of(self._study, number),
        )
        proposal = {
            "number": number,
            "attempt": 1,
            "seed": derive(self._study.seed, "trial", number),
            "distribution": distribution.to_dict(),
            "training": training,
        }
        trial.user_attrs = dict(proposal)
        self._create("masks", number, trial, self._ids)
        return proposal

    def _propose_again(self, record: TrialRecord) -> dict[str, Any]:
        attempt = record.attempt + 1
        self._set(record.number, "attempt", attempt)
        return record.proposal | {"attempt": attempt}

    def _propose_training(self, number: int) -> dict[str, Any]:
        if not self._study.training.searched():
            return {}
        if number < len(self._training_ids):
            # The driver before this one died between the two halves of its proposal.
            stored = self._storage.get_trial(self._training_ids[number])
            self._training.learn(stored)
            return dict(stored.params)
        values, trial = self._training.ask(number, lambda asked: suggest_training(asked, self._study))
        self._create("training", number, trial, self._training_ids)
        return values

    def _create(self, role: str, number: int, trial: FrozenTrial, ids: list[int]) -> None:
        self._check()
        tried, study_id = False, self._id(role)

        def create() -> int:
            nonlocal tried
            # Written, and the answer lost with the connection.
            if tried and len(there := self._all(role)) > number:
                return there[number]._trial_id
            tried = True
            return self._storage.impatient.create_new_trial(study_id, trial)

        ids.append(self._storage.patiently(create))

    def scored(self, number: int, attempt: int, result: Mapping[str, Any]) -> bool:
        """Writes the first result of a trial; returns whether it was taken."""
        taken = self._current(number, attempt)
        if taken:
            self._set(number, "scored", dict(result))
        return taken

    def measured(self, number: int, attempt: int, values: Mapping[str, float]) -> bool:
        """Writes what was measured after some "training/iterations" of a trial; returns whether it was taken."""
        taken = self._current(number, attempt)
        if taken:
            iteration, accuracy = values["training/iterations"], values["accuracy/val"]
            self._set(number, f"measured/{iteration}", dict(values))
            # As a curve, for the tools of Optuna.
            self._storage.set_trial_intermediate_value(self._ids[number], iteration, accuracy)
        return taken

    def said(self, number: int, attempt: int, end: Mapping[str, Any]) -> bool:
        """Writes how a trial says that it ended, before that is decided; returns whether it was taken."""
        taken = self._current(number, attempt)
        if taken:
            self._set(number, "end", dict(end))
        return taken

    def lost(self, number: int, attempt: int, reached: int) -> bool:
        """A worker died, whose trial had reached so many iterations: returns whether that is proposed again.

        It is not after `faults.retries` times at the same iteration.
        """
        if not self._current(number, attempt):
            return True
        before = self._storage.get_trial(self._ids[number]).user_attrs
        # A driver may have died between the two writings.
        times = before.get("lost", 0) + 1 if before.get("reached") == reached else 1
        self._set(number, "reached", reached)
        self._set(number, "lost", times)
        if times > self._study.faults.retries:
            return False
        heapq.heappush(self._again, number)
        return True

    def interrupted(self, number: int, attempt: int) -> None:
        """A trial lost its worker through no fault of its own: it is proposed again."""
        if self._current(number, attempt):
            heapq.heappush(self._again, number)

    def finish(self, number: int, attempt: int, outcome: Outcome, result: Mapping[str, Any]) -> bool:
        """Writes a trial's end, its result first, so that no end is ever without one; returns whether it was taken."""
        taken = self._current(number, attempt)
        if taken:
            self._set(number, "result", dict(result))
            self._set(number, "outcome", outcome.value)
            self._tell(number, outcome, result)
        return taken

    def _current(self, number: int, attempt: int) -> bool:
        """Whether an attempt is the last one of a trial that has not ended."""
        self._check()
        trial = self._storage.get_trial(self._ids[number])
        ended = trial.state.is_finished() or "outcome" in trial.user_attrs
        return not ended and trial.user_attrs["attempt"] == attempt

    def _set(self, number: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(self._ids[number], key, value)

    def _tell(self, number: int, outcome: Outcome, result: Mapping[str, Any]) -> None:
        """Tells the samplers: the warm-up accuracy to `training`, the objectives to `masks`; only finite numbers."""
        if self._study.training.searched():
            state, accuracy = _training_lesson(outcome, result)
            # A trial that was stopped trained for less than the others: its accuracy is one on the way.
            steps = {result["training/iterations"]: accuracy} if accuracy is not None else {}
            stopped = steps if state is TrialState.PRUNED else {}
            values = [accuracy] if state is TrialState.COMPLETE else None
            self._close(self._training_ids[number], self._training, number, state, values, stopped)
        values = self._values(outcome, result)
        # `masks` last: as long as it is open there, a restart tells both.
        state = TrialState.FAIL if values is None else TrialState.COMPLETE
        self._close(self._ids[number], self._masks, number, state, values)

    def _values(self, outcome: Outcome, result: Mapping[str, Any]) -> list[float] | None:
        """The objectives of a trial, where it has all of them."""
        if outcome is Outcome.FAILED:
            return None
        values = []
        for name in self._study.objectives:
            if name == "accuracy":
                # Of less than the whole warm-up it is another quantity.
                values.append(result.get("accuracy/val") if outcome is Outcome.FINISHED else None)
            else:
                values.append(result.get(f"spectral/{name}" if values else "spectral/objective"))
        return values if all(value is not None and math.isfinite(value) for value in values) else None

    def _close(
        self,
        trial_id: int,
        guide: Guide,
        number: int,
        state: TrialState,
        values: list[float] | None,
        steps: Mapping[int, float] | None = None,
    ) -> None:
        if self._storage.get_trial(trial_id).state.is_finished():
            # The driver before this one died after it told this one.
            return
        steps = steps or {}
        # Told already where the answer was lost with the connection.
        with contextlib.suppress(UpdateFinishedTrialError):
            for step, value in steps.items():
                self._storage.set_trial_intermediate_value(trial_id, step, value)
            self._storage.set_trial_state_values(trial_id, state, values)
        guide.tell(number, state, values, steps)

    # What is beside the trials

    def record_final(self, record: FinalRecord) -> None:
        """Writes the end of a full training; a second end of one that finished or diverged is refused.

        The check of another trial is another training: its end takes the place of the former.
        """
        if any(done.settles(record.label, record.of) for done in self.finals()):
            return
        attributes = {
            "label": record.label,
            "outcome": record.outcome.value,
            "accuracy/final": record.accuracy_final,
            "result": record.result,
        }
        number = len(self._all("final"))
        state = TrialState.FAIL if record.accuracy_val is None else TrialState.COMPLETE
        trial = create_trial(state=state, value=record.accuracy_val, user_attrs=attributes)
        self._create("final", number, trial, [])

    def record_runs(self, runs: Mapping[str, str]) -> None:
        """Writes the MLflow run ids of runs by their keys; those that are known are passed over."""
        study_id, known = self._id("masks"), self.runs()
        if new := {key: run for key, run in runs.items() if known.get(key) != run}:
            # One writing for all of them; what is written later is read later.
            written = sum(key.startswith("mlflow/") for key in self._storage.get_study_user_attrs(study_id))
            self._storage.set_study_user_attr(study_id, f"mlflow/{written:06d}", new)


def _training_lesson(outcome: Outcome, result: Mapping[str, Any]) -> tuple[TrialState, float | None]:
    """What the end of a trial teaches about its training settings."""
    accuracy = result.get("accuracy/val")
    if outcome is Outcome.FINISHED and accuracy is not None:
        return TrialState.COMPLETE, accuracy
    if outcome is Outcome.STOPPED_EARLY and accuracy is not None:
        return TrialState.PRUNED, accuracy
    if outcome is Outcome.DIVERGED:
        # Pruned without a value: ranked below every trial that trained.
        return TrialState.PRUNED, None
    return TrialState.FAIL, None


def _record(trial: FrozenTrial) -> TrialRecord:
    attributes = trial.user_attrs
    outcome = attributes.get("outcome")
    return TrialRecord(
        trial.number,
        attributes["attempt"],
        attributes["seed"],
        MaskDistribution.from_dict(attributes["distribution"]),
        attributes["training"],
        Outcome(outcome) if outcome else None,
        _result(trial),
        attributes.get("scored"),
        {int(key.removeprefix("measured/")): value for key, value in attributes.items() if key.startswith("measured/")},
        attributes.get("end"),
        attributes.get("lost", 0),
        trial.datetime_complete,
    )


def _result(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial reported, under today's names."""
    result = dict(trial.user_attrs.get("result", {}))
    if "sparsity/layer_mean" in result:
        # Written when the distance was the only objective; such a study can still be resumed and exported.
        result["spectral/objective"] = result["spectral/l2"]
        result["spectral/layer_density"] = 1 - result.pop("sparsity/layer_mean")
    return result
