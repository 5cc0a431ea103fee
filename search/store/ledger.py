"""The ledger: the truth about a study, held in Optuna studies that any Optuna tool opens."""

from collections import Counter
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial

from ..config.study import Study
from ..files import StudyFolder
from ..names import Attribute
from ..protocol.label import Label
from ..protocol.outcome import Outcome
from .records import FinalRecord, TrialRecord
from .storage import RetryingStorage, open_storage

#: The studies of a ledger: trials by their masks, by their training settings, full trainings of masks, and those of
#: baselines, which would otherwise be taken for the best of them.
ROLES = MASKS, TRAINING, FINAL, BASELINE = "masks", "training", "final", "baselines"


class Ledger:
    """Reads what is known of a study.

    Four Optuna studies share one storage: `masks`, whose values are the study's objectives; `training`, guided by
    warm-up accuracy, in which trials that never trained teach nothing; `final`; and `baselines`. Whoever holds
    the study's lock writes to it; see `writer.take_over`.
    """

    @classmethod
    def of_folder(cls, study: Study, folder: StudyFolder) -> "Ledger":
        """Return the ledger of a study that has begun. Raises InputError where its storage is not there."""
        return cls(study, open_storage(study.tracking.storage, folder.journal, create=False))

    def __init__(self, study: Study, storage: optuna.storages.BaseStorage) -> None:
        """Read `study` from `storage`, in which it need not be yet."""
        self.study = study
        self.key = study.id
        self.storage = RetryingStorage(storage)

    def study_id(self, role: str) -> int | None:
        """Return Optuna's id of the study of a role; None where there is none yet."""
        try:
            study_id: int = self.storage.get_study_id_from_name(f"{self.key}/{role}")
        except KeyError:
            return None
        return study_id

    def all_trials(self, role: str) -> list[FrozenTrial]:
        """Return Optuna's trials of a role, in order of number."""
        study_id = self.study_id(role)
        return [] if study_id is None else self.storage.get_all_trials(study_id, deepcopy=False)

    def trials(self) -> list[TrialRecord]:
        """Return every trial, in order of number."""
        return [TrialRecord.of(trial) for trial in self.all_trials(MASKS)]

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many trials ended with each outcome."""
        return Counter(trial.outcome for trial in self.trials() if trial.outcome)

    def finals(self) -> list[FinalRecord]:
        """Return the last end of every full training that ended, in the order of ending."""
        ended = [trial for role in (FINAL, BASELINE) for trial in self.all_trials(role)]
        ended.sort(key=lambda trial: trial.datetime_complete or datetime.min)
        found = {trial.user_attrs[Attribute.LABEL]: trial for trial in ended}
        return [FinalRecord.of_trial(trial) for trial in found.values()]

    def runs(self) -> dict[str, str]:
        """Return MLflow run ids by the key of the run (`STUDY/trial N`)."""
        blocks = self.run_blocks()
        return {key: run for name in sorted(blocks) for key, run in blocks[name].items()}

    def run_blocks(self) -> dict[str, dict[str, str]]:
        """Return MLflow run ids by the key of the run, in the blocks in which they were written."""
        study_id = self.study_id(MASKS)
        attributes = {} if study_id is None else self.storage.get_study_user_attrs(study_id)
        return {key: runs for key, runs in attributes.items() if key.startswith(Attribute.RUNS)}

    def pareto(self) -> list[Label]:
        """Return the trials that no other betters in every objective; none where there is one objective."""
        if self.study_id(MASKS) is None or len(self.study.objectives) == 1:
            return []
        study = optuna.load_study(study_name=f"{self.key}/{MASKS}", storage=self.storage.direct)
        return [Label.of_trial(number) for number in sorted(trial.number for trial in study.best_trials)]

    @property
    def proposed(self) -> int:
        """Trials proposed so far, ended or not."""
        return len(self.all_trials(MASKS))

    @property
    def remaining(self) -> int:
        """Trials still to be run: new ones, and those that have not ended."""
        return self.study.search.trials - sum(Attribute.OUTCOME in t.user_attrs for t in self.all_trials(MASKS))
