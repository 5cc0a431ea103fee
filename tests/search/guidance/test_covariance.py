"""CMA-ES without a stored state: what it proposes is what Optuna's would, and nothing of a study is ever run."""

import math
import os
import pickle

import optuna
import pytest
from fullspectrum.search.guidance.guided import GuidedStudy
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

TRIALS = 60


def suggest(trial) -> dict:
    for name in range(4):
        trial.suggest_float(f"theta/{name}", -0.5, 0.5)
    return dict(trial.params)


def value(params: dict) -> float:
    return -sum((params[f"theta/{name}"] - 0.3) ** 2 for name in range(4))


class Trap:
    """What unpickles by making a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "journal.log"


def searched(journal, trials: int = TRIALS) -> list[dict]:
    """Proposes and ends trials of a study in a journal; what was proposed."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = storage.create_new_study([StudyDirection.MAXIMIZE], "shared")
    guided, found = GuidedStudy("cmaes", 5), []
    for number in range(trials):
        params, trial = guided.ask(number, suggest)
        trial_id = storage.create_new_trial(study, trial)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [value(params)])
        guided.tell(number, TrialState.COMPLETE, [value(params)])
        found.append(params)
    return found


def test_it_finds_the_optimum_as_optunas_own_does(journal):
    def best(found):
        return max(map(value, found))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ours = searched(journal, 200)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.CmaEsSampler(seed=5, n_startup_trials=0))
    study.optimize(lambda trial: value(suggest(trial)), n_trials=200)
    theirs = [trial.params for trial in study.trials]
    # At random the best of 200 is at a squared distance near 0.01.
    assert -best(ours) < 1e-4 and math.log10(-best(ours)) < math.log10(-best(theirs)) + 2


def test_no_pickle_stands_in_the_storage(journal):
    searched(journal)
    trials = optuna.load_study(study_name="shared", storage=JournalStorage(JournalFileBackend(str(journal)))).trials
    assert any("cma:told" in trial.system_attrs for trial in trials)
    for trial in trials:
        assert set(trial.system_attrs) <= {"cma:generation", "cma:told"}
        assert all(isinstance(one, int | list) for one in trial.system_attrs.values())


def test_what_a_stranger_writes_into_the_storage_is_never_run(journal, tmp_path):
    searched(journal)
    storage = JournalStorage(JournalFileBackend(str(journal)))
    study = storage.get_study_id_from_name("shared")
    trap = pickle.dumps(Trap(tmp_path / "run")).hex()
    # It works on whoever unpickles it.
    with pytest.raises(AttributeError):
        optuna.samplers.CmaEsSampler()._restore_optimizer([_planted(trap)]).generation  # noqa: B018
    (tmp_path / "run").rmdir()
    notes = {"cma:optimizer:0": trap, "cma:told": ["x", 1e300], "cma:generation": trap, "study:cma:optimizer": trap}
    template = optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params=dict(_params()),
        distributions={name: optuna.distributions.FloatDistribution(-0.5, 0.5) for name in _params()},
        system_attrs=notes,
    )
    storage.create_new_trial(study, template)
    guided = GuidedStudy("cmaes", 5)
    for trial in storage.get_all_trials(study):
        guided.learn(trial)
    guided.ask(TRIALS + 1, suggest)
    assert not (tmp_path / "run").exists()


def _params() -> dict[str, float]:
    return {f"theta/{name}": 0.0 for name in range(4)}


def _planted(trap: str) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(value=1.0, system_attrs={"cma:optimizer:0": trap})
