"""The ledger: what was proposed stands in the storage before anybody gets it, and an interruption changes nothing."""

import math

import numpy as np
import optuna
import pytest
from fullspectrum.models.seeds import derive
from fullspectrum.search.config import ConfigError, Study
from fullspectrum.search.ledger import FinalRecord, Ledger, make_sampler, open_storage
from fullspectrum.search.outcome import Outcome
from fullspectrum.search.space import MaskDistribution
from fullspectrum.search.studyfile import parse, with_overrides
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

NAMES = ["conv1.weight", "conv2.weight", "fc.weight"]
SCORED = {"training/iterations": 0, "spectral/objective": 3.5, "digest": "d"}
TRAINED = SCORED | {"training/iterations": 100, "accuracy/val": 0.75}


def study(*overrides: str) -> Study:
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "search": {"trials": 6, "sampler": "random"},
        "training": {"learning_rate": {"low": 0.01, "high": 0.3, "log": True}},
    }
    return parse(with_overrides(settings, overrides))


def ledger_of(settings: Study, storage=None) -> Ledger:
    ledger = Ledger(settings, storage or InMemoryStorage(), NAMES)
    ledger.take_over()
    return ledger


def all_proposals(ledger: Ledger) -> list[dict]:
    return list(iter(ledger.propose, None))


@pytest.fixture
def journal(tmp_path):
    """Opens the study's journal as a new process does: a storage that holds nothing but what the file says."""
    return lambda settings: open_storage(settings, tmp_path / "study" / "journal.log")


def optuna_trials(settings: Study, storage, role: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=f"{settings.id}/{role}", storage=storage).get_trials()


def test_a_proposal_is_all_that_a_trial_needs():
    settings = study()
    proposal = ledger_of(settings).propose()
    assert list(proposal) == ["number", "attempt", "seed", "distribution", "training"]
    assert (proposal["number"], proposal["attempt"]) == (0, 1)
    assert proposal["seed"] == derive(0, "trial", 0)
    distribution = MaskDistribution.from_dict(proposal["distribution"])
    assert set(distribution.theta) == {"conv1", "conv2", "fc"}
    assert set(proposal["training"]) == {"learning_rate"}
    assert 0.01 <= proposal["training"]["learning_rate"] <= 0.3


def test_as_many_trials_are_proposed_as_the_study_has():
    ledger = ledger_of(study())
    assert (ledger.proposed, ledger.remaining) == (0, 6)
    proposals = all_proposals(ledger)
    assert [proposal["number"] for proposal in proposals] == list(range(6))
    assert len({proposal["seed"] for proposal in proposals}) == 6
    assert len({str(proposal["distribution"]) for proposal in proposals}) == 6
    assert (ledger.proposed, ledger.remaining) == (6, 6)
    ledger.finish(0, Outcome.FINISHED, TRAINED)
    ledger.finish(1, Outcome.FAILED, {})
    assert (ledger.proposed, ledger.remaining) == (6, 4)
    assert ledger.propose() is None


def test_random_proposals_do_not_depend_on_results_or_their_order():
    settings = study()
    undisturbed = all_proposals(ledger_of(settings))
    ledger, disturbed = ledger_of(settings), []
    for step in range(6):
        disturbed.append(ledger.propose())
        if step in (2, 4):
            ledger.finish(step, Outcome.FINISHED, TRAINED | {"spectral/objective": float(step)})
            ledger.finish(step - 1, Outcome.STOPPED_BY_GATE, SCORED)
    assert disturbed == undisturbed


def test_another_seed_gives_other_proposals():
    one, other = (all_proposals(ledger_of(study(f"seed={seed}"))) for seed in (0, 1))
    assert all(
        a["seed"] != b["seed"] and a["distribution"] != b["distribution"] for a, b in zip(one, other, strict=True)
    )


def _run_told(settings: Study, reward) -> list[dict]:
    ledger, proposals = ledger_of(settings), []
    while (proposal := ledger.propose()) is not None:
        proposals.append(proposal)
        score = reward(proposal)
        result = TRAINED | {"spectral/objective": score, "accuracy/val": 1 / (1 + abs(score))}
        ledger.finish(proposal["number"], Outcome.FINISHED, result)
    return proposals


def test_tpe_told_the_same_proposes_the_same_and_told_otherwise_something_else():
    # TPE draws its first ten trials at random.
    settings = study("search.sampler=tpe", "search.trials=16")
    one, again, other = (
        _run_told(settings, reward)
        for reward in (
            lambda proposal: proposal["distribution"]["theta"]["fc"],
            lambda proposal: proposal["distribution"]["theta"]["fc"],
            lambda proposal: -proposal["distribution"]["theta"]["fc"],
        )
    )
    assert one == again
    assert one[:10] == other[:10]
    assert one[10:] != other[10:]


def test_proposing_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    all_proposals(ledger_of(study("search.sampler=tpe", "search.trials=14")))
    assert np.array_equal(np.random.get_state()[1], before)


def test_samplers_are_those_of_the_setting():
    assert isinstance(make_sampler("tpe", 0), optuna.samplers.TPESampler)
    assert isinstance(make_sampler("random", 0), optuna.samplers.RandomSampler)


def test_a_proposal_is_stored_before_it_is_handed_out(journal):
    settings = study()
    proposal = ledger_of(settings, journal(settings)).propose()
    stored = optuna_trials(settings, journal(settings), "masks")[0]
    assert stored.state == TrialState.RUNNING
    assert stored.user_attrs == proposal
    assert stored.params["source"] == proposal["distribution"]["source"]
    assert optuna_trials(settings, journal(settings), "training")[0].params == proposal["training"]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_unfinished_trials_are_proposed_again_and_the_rest_as_if_nothing_had_happened(journal, sampler):
    settings = study(f"search.sampler={sampler}")
    uninterrupted = all_proposals(ledger_of(settings))
    first = ledger_of(settings, journal(settings))
    for _ in range(4):
        first.propose()
    first.finish(1, Outcome.FINISHED, TRAINED)

    second = ledger_of(settings, journal(settings))
    assert (second.proposed, second.remaining) == (4, 5)
    resumed = all_proposals(second)
    assert [proposal["number"] for proposal in resumed] == [0, 2, 3, 4, 5]
    assert [proposal["attempt"] for proposal in resumed] == [2, 2, 2, 1, 1]
    expected = [uninterrupted[n] for n in (0, 2, 3, 4, 5)]
    assert [p | {"attempt": 1} for p in resumed] == expected
    assert second.proposed == 6

    third = all_proposals(ledger_of(settings, journal(settings)))
    assert [proposal["attempt"] for proposal in third] == [3, 3, 3, 2, 2]


def test_a_proposal_that_was_interrupted_itself_is_made_whole(journal):
    settings = study()
    uninterrupted = all_proposals(ledger_of(settings))
    # The trial was asked for, and the process died before anything was drawn or written.
    ledger_of(settings, journal(settings))
    optuna.load_study(study_name=f"{settings.id}/masks", storage=journal(settings)).ask()
    ledger = ledger_of(settings, journal(settings))
    assert ledger.trials() == []
    assert all_proposals(ledger) == uninterrupted


ENDS = [
    (Outcome.FINISHED, TRAINED, TrialState.COMPLETE, TrialState.COMPLETE),
    (Outcome.FINISHED, SCORED, TrialState.COMPLETE, TrialState.FAIL),
    (Outcome.STOPPED_BY_GATE, SCORED, TrialState.COMPLETE, TrialState.FAIL),
    (Outcome.STOPPED_EARLY, TRAINED, TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.DIVERGED, SCORED | {"reason": "NaN"}, TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.REJECTED, {"training/iterations": 0, "reason": "collapsed"}, TrialState.FAIL, TrialState.FAIL),
    (Outcome.FAILED, {}, TrialState.FAIL, TrialState.FAIL),
    (Outcome.FAILED, TRAINED, TrialState.FAIL, TrialState.FAIL),
    (Outcome.STOPPED_BY_GATE, SCORED | {"spectral/objective": math.nan}, TrialState.FAIL, TrialState.FAIL),
    (Outcome.FINISHED, TRAINED | {"spectral/objective": math.inf}, TrialState.FAIL, TrialState.COMPLETE),
]


@pytest.mark.parametrize(("outcome", "result", "masks", "training"), ENDS)
def test_each_end_is_told_to_the_samplers_as_what_it_teaches(outcome, result, masks, training):
    settings, storage = study(), InMemoryStorage()
    ledger = ledger_of(settings, storage)
    ledger.propose()
    ledger.finish(0, outcome, result)
    told = optuna_trials(settings, storage, "masks")[0]
    assert told.state == masks
    assert told.value == (result["spectral/objective"] if masks is TrialState.COMPLETE else None)
    trained = optuna_trials(settings, storage, "training")[0]
    assert trained.state == training
    if training is TrialState.COMPLETE:
        assert trained.value == result["accuracy/val"]
    stopped_at = {100: 0.75} if outcome is Outcome.STOPPED_EARLY else {}
    assert trained.intermediate_values == stopped_at


def test_without_searched_training_settings_there_is_nobody_to_tell():
    settings, storage = study("training.learning_rate=0.1"), InMemoryStorage()
    ledger = ledger_of(settings, storage)
    assert ledger.propose()["training"] == {}
    ledger.finish(0, Outcome.FINISHED, TRAINED)
    assert optuna_trials(settings, storage, "training") == []


@pytest.mark.filterwarnings("ignore:The reported value is ignored because this `step=100` is already reported")
@pytest.mark.parametrize("lost", ["masks", "masks and training"])
def test_an_end_that_was_written_but_not_told_is_told_on_opening(journal, monkeypatch, lost):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    # The process dies at its first, or at its second call of tell.
    told = optuna.Study.tell
    survives = iter([lost == "masks"])

    def dying(self, *arguments, **named):
        if not next(survives, False):
            raise KeyboardInterrupt
        return told(self, *arguments, **named)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(optuna.Study, "tell", dying)
        ledger.finish(0, Outcome.STOPPED_EARLY, TRAINED)
    assert optuna_trials(settings, journal(settings), "masks")[0].state == TrialState.RUNNING

    reopened = ledger_of(settings, journal(settings))
    assert reopened.remaining == 5
    assert reopened.propose()["number"] == 1
    told_now = optuna_trials(settings, journal(settings), "masks")[0]
    assert (told_now.state, told_now.value) == (TrialState.COMPLETE, 3.5)
    trained = optuna_trials(settings, journal(settings), "training")[0]
    assert (trained.state, trained.intermediate_values) == (TrialState.PRUNED, {100: 0.75})


def test_the_result_is_written_before_the_outcome(monkeypatch):
    ledger, order = ledger_of(study()), []
    ledger.propose()
    original = optuna.trial.Trial.set_user_attr

    def noting(self, key, value):
        order.append(key)
        original(self, key, value)

    monkeypatch.setattr(optuna.trial.Trial, "set_user_attr", noting)
    ledger.finish(0, Outcome.FINISHED, TRAINED)
    assert order == ["result", "outcome"]


def test_trials_come_back_as_they_were_written(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    proposals = [ledger.propose() for _ in range(3)]
    ledger.finish(2, Outcome.DIVERGED, SCORED | {"reason": "loss is nan"})
    records = ledger_of(settings, journal(settings)).trials()
    assert [record.number for record in records] == [0, 1, 2]
    assert [record.label for record in records] == ["trial 0", "trial 1", "trial 2"]
    assert [record.outcome for record in records] == [None, None, Outcome.DIVERGED]
    assert records[2].result == SCORED | {"reason": "loss is nan"}
    assert records[0].result == {}
    for record, proposal in zip(records, proposals, strict=True):
        assert record.distribution == MaskDistribution.from_dict(proposal["distribution"])
        assert record.training == proposal["training"]
        assert record.attempt == 1


def test_results_that_were_written_when_the_distance_was_the_only_objective_are_read_under_todays_names():
    ledger = ledger_of(study())
    ledger.propose()
    ledger.finish(0, Outcome.FINISHED, {"spectral/l2": 2.5, "sparsity/layer_mean": 0.75, "digest": "d"})
    assert ledger.trials()[0].result == {
        "spectral/objective": 2.5,
        "spectral/l2": 2.5,
        "spectral/layer_density": 0.25,
        "digest": "d",
    }


def test_finals_come_back_in_their_order(journal):
    settings = study()
    finals = [
        FinalRecord("trial 3", 0.8, 0.7, {"training/iterations": 10}),
        FinalRecord("dense", 0.95, 0.9, {"outcome": "finished"}),
    ]
    ledger = ledger_of(settings, journal(settings))
    assert ledger.finals() == []
    for record in finals:
        ledger.record_final(record)
    assert ledger.finals() == finals
    assert ledger_of(settings, journal(settings)).finals() == finals


def test_studies_in_one_storage_do_not_see_each_other():
    storage = InMemoryStorage()
    one, other = ledger_of(study(), storage), ledger_of(study("seed=1"), storage)
    one.propose()
    one.record_final(FinalRecord("dense", 0.9, 0.9, {}))
    assert (other.proposed, other.trials(), other.finals()) == (0, [], [])


def test_a_database_keeps_what_the_journal_keeps(tmp_path):
    settings = study(f"tracking.storage=sqlite:///{tmp_path}/optuna.db")
    unused = tmp_path / "study" / "journal.log"
    proposal = ledger_of(settings, open_storage(settings, unused)).propose()
    again = ledger_of(settings, open_storage(settings, unused)).propose()
    assert again == proposal | {"attempt": 2}
    assert not unused.exists()


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "mysterydb://ada:hunter2@127.0.0.1/optuna",
        "sqlite:////nowhere/hunter2/optuna.db",
        "postgresql+nodriver://ada:hunter2@127.0.0.1:1/optuna",
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(tmp_path, url):
    with pytest.raises(ConfigError) as caught:
        open_storage(study(f"tracking.storage={url}"), tmp_path / "journal.log")
    message = str(caught.value)
    assert "tracking.storage" in message
    assert "expected a database URL" in message
    assert "\n" not in message
    assert "hunter2" not in message


def test_reading_a_ledger_changes_nothing_of_a_study_that_is_running(journal):
    settings = study()
    driver = ledger_of(settings, journal(settings))
    proposal = driver.propose()
    reader = Ledger(settings, journal(settings), [])
    assert [trial.outcome for trial in reader.trials()] == [None]
    driver.finish(proposal["number"], Outcome.FINISHED, {"spectral/objective": 1.0, "accuracy/val": 0.5})
    assert [trial.outcome for trial in reader.trials()] == [Outcome.FINISHED]
