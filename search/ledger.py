"""The truth about a study: what was proposed, what came of it, held in Optuna studies that any Optuna tool opens."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ..models.seeds import derive
from .config import ConfigError, Study
from .outcome import Outcome
from .space import MaskDistribution, suggest_mask, suggest_training

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_storage(study: Study, journal: Path) -> optuna.storages.BaseStorage:
    """The study's Optuna storage: the database of `tracking.storage`, else the journal file.

    Raises ConfigError where the database cannot be used.
    """
    if study.tracking.storage is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    try:
        return optuna.storages.RDBStorage(study.tracking.storage)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        # The URL may hold a password: the message names the setting, not its value.
        raise ConfigError(
            f"cannot open tracking.storage ({type(error).__name__}); expected a database URL that SQLAlchemy reads"
        ) from None


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """The Optuna sampler called `name` in [search] sampler."""
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        # `group` keeps the settings that only some sources have (temperature, batch) out of the joint density.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


@dataclass(frozen=True)
class TrialRecord:
    """What the ledger knows of one trial."""

    number: int
    attempt: int
    distribution: MaskDistribution
    training: dict[str, Any]
    """Values of the searched training settings."""
    outcome: Outcome | None
    """None while the trial has not ended."""
    result: dict[str, Any]
    """Last value of everything the trial reported, by the names of the record."""

    @property
    def label(self) -> str:
        """The name of the trial's final training."""
        return f"trial {self.number}"


@dataclass(frozen=True)
class FinalRecord:
    """The full training of one mask or baseline."""

    label: str
    """`trial N`, or the baseline's name."""
    accuracy_val: float
    accuracy_final: float
    """Accuracy on the test split, which decides nothing."""
    result: dict[str, Any]


class Ledger:
    """Proposes trials and keeps what came of them.

    Three Optuna studies share one storage: `masks`, whose value is the study's objective; `training`, guided by
    warm-up accuracy, in which trials that never trained teach nothing; and `final`. Everything about a proposal is
    written before it is handed out. The sampler is seeded anew for each proposal by its number, so a study that was
    interrupted goes on with the proposals it would have made.
    """

    def __init__(self, study: Study, storage: optuna.storages.BaseStorage, parameters: Sequence[str]):
        self._study = study
        self._parameters = list(parameters)
        names = {role: f"{study.id}/{role}" for role in ("masks", "training", "final")}
        self._masks, self._training, self._final = (
            optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
            for name in names.values()
        )
        self._unfinished: list[int] = []

    def take_over(self) -> None:
        """Takes up what another driver left: interrupted trials are proposed again, ends not yet told are told.

        For the driver alone: to read a ledger whose study may be running, do not call it.
        """
        self._unfinished = []
        for trial in self._masks.get_trials(states=[TrialState.RUNNING]):
            # The end is told to `masks` last, so a trial that is still running there may need to be told to both.
            if "outcome" in trial.user_attrs:
                self._tell(trial.number, Outcome(trial.user_attrs["outcome"]), _result(trial))
            else:
                self._unfinished.append(trial.number)

    @property
    def proposed(self) -> int:
        """Trials proposed so far, ended or not."""
        return len(self._masks.get_trials(deepcopy=False))

    @property
    def remaining(self) -> int:
        """Trials still to be run: new ones, and those that have not ended."""
        ended = sum("outcome" in trial.user_attrs for trial in self._masks.get_trials(deepcopy=False))
        return self._study.search.trials - ended

    def propose(self) -> dict[str, Any] | None:
        """The next trial as plain values (number, attempt, seed, distribution, training); None when none is left."""
        again = bool(self._unfinished)
        if not again and self.proposed >= self._study.search.trials:
            return None
        number = self._unfinished.pop(0) if again else self.proposed
        trial = self._ask(self._masks, number, again)
        distribution = suggest_mask(trial, self._study, self._parameters)
        training = {}
        if self._study.training.searched():
            training = suggest_training(self._ask(self._training, number, again), self._study)
        proposal = {
            "number": number,
            "attempt": trial.user_attrs.get("attempt", 0) + 1,
            "seed": derive(self._study.seed, "trial", number),
            "distribution": distribution.to_dict(),
            "training": training,
        }
        for key, value in proposal.items():
            trial.set_user_attr(key, value)
        return proposal

    def _ask(self, study: optuna.Study, number: int, again: bool) -> optuna.trial.Trial:
        study.sampler = make_sampler(self._study.search.sampler, derive(self._study.seed, "sampler", number) % 2**32)
        if again:
            known = [trial for trial in study.get_trials(deepcopy=False) if trial.number == number]
            if known:
                # Parameters that were already drawn stand in the storage and are given again.
                return optuna.trial.Trial(study, known[0]._trial_id)
        return study.ask()

    def finish(self, number: int, outcome: Outcome, result: dict[str, Any]) -> None:
        """Writes a trial's end, its result first, so that no end is ever without one."""
        trial = optuna.trial.Trial(self._masks, self._masks.get_trials(deepcopy=False)[number]._trial_id)
        trial.set_user_attr("result", result)
        trial.set_user_attr("outcome", outcome.value)
        self._tell(number, outcome, result)

    def _tell(self, number: int, outcome: Outcome, result: dict[str, Any]) -> None:
        """Tells the samplers: the warm-up accuracy to `training`, the objective to `masks`; only finite numbers."""
        if self._study.training.searched():
            self._tell_training(number, outcome, result)
        score = result.get("spectral/objective")
        if outcome is Outcome.FAILED or score is None or not math.isfinite(score):
            self._masks.tell(number, state=TrialState.FAIL)
        else:
            self._masks.tell(number, score)

    def _tell_training(self, number: int, outcome: Outcome, result: dict[str, Any]) -> None:
        trials = self._training.get_trials(deepcopy=False)
        if number >= len(trials) or trials[number].state.is_finished():
            return
        accuracy = result.get("accuracy/val")
        if outcome is Outcome.FINISHED and accuracy is not None:
            self._training.tell(number, accuracy)
        elif outcome is Outcome.STOPPED_EARLY and accuracy is not None:
            trial = optuna.trial.Trial(self._training, trials[number]._trial_id)
            trial.report(accuracy, result["training/iterations"])
            self._training.tell(number, state=TrialState.PRUNED)
        elif outcome is Outcome.DIVERGED:
            # Pruned without a value: ranked below every trial that trained.
            self._training.tell(number, state=TrialState.PRUNED)
        else:
            self._training.tell(number, state=TrialState.FAIL)

    def trials(self) -> list[TrialRecord]:
        """Every trial that was proposed in full, in order of number."""
        records = []
        for trial in self._masks.get_trials(deepcopy=False):
            attributes = trial.user_attrs
            if "training" in attributes:
                outcome = attributes.get("outcome")
                records.append(
                    TrialRecord(
                        trial.number,
                        attributes["attempt"],
                        MaskDistribution.from_dict(attributes["distribution"]),
                        attributes["training"],
                        Outcome(outcome) if outcome else None,
                        _result(trial),
                    )
                )
        return records

    def record_final(self, record: FinalRecord) -> None:
        """Writes the end of a full training."""
        self._final.add_trial(
            optuna.trial.create_trial(
                value=record.accuracy_val,
                user_attrs={"label": record.label, "accuracy/final": record.accuracy_final, "result": record.result},
            )
        )

    def finals(self) -> list[FinalRecord]:
        """Every full training that ended, in the order of ending."""
        return [
            FinalRecord(t.user_attrs["label"], t.value, t.user_attrs["accuracy/final"], t.user_attrs["result"])
            for t in self._final.get_trials(deepcopy=False)
        ]


def _result(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """What a trial reported, under today's names."""
    result = dict(trial.user_attrs.get("result", {}))
    if "sparsity/layer_mean" in result:
        # Written when the distance was the only objective; such a study can still be resumed and exported.
        result["spectral/objective"] = result["spectral/l2"]
        result["spectral/layer_density"] = 1 - result.pop("sparsity/layer_mean")
    return result
