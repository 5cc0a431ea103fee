"""The ledger: what was proposed stands in the storage before anybody gets it, and an interruption changes nothing."""

import json
import math
from dataclasses import replace

import numpy as np
import optuna
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.seeds import derive
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.protocol.label import DENSE, SHUFFLED, Label
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Ended, Measured, Scored
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.records import FinalRecord
from fullspectrum.search.store.storage import open_storage
from fullspectrum.search.store.writer import LedgerWriter
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.trial import TrialState

from ..drivers import OpenStudy

SCORED = TrialResult({"spectral/objective": 3.5}, digest="d")
MEASURED = Measured(10, accuracy=0.25, loss=1.5)
TRAINED = replace(SCORED, iterations=100, accuracy=0.75)
REPORT = Scored({"spectral/objective": 3.5}, "d")


def with_objective(result: TrialResult, value: float) -> TrialResult:
    return replace(result, metrics={"spectral/objective": value})


def study(*overrides: str) -> Study:
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "search": {"trials": 6, "sampler": "random"},
        "training": {"learning_rate": {"low": 0.01, "high": 0.3, "log": True}},
    }
    return parse(with_overrides(settings, overrides))


def ledger_of(settings: Study, storage=None) -> OpenStudy:
    return OpenStudy(settings, storage)


def all_proposals(ledger: OpenStudy) -> list[Proposal]:
    return ledger.all_proposals()


@pytest.fixture
def journal(tmp_path):
    """Opens the study's journal as a new process does: a storage that holds nothing but what the file says."""
    return lambda settings: open_storage(settings.tracking.storage, tmp_path / "study" / "journal.log")


def optuna_trials(settings: Study, storage, role: str) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=f"{settings.id}/{role}", storage=storage).get_trials()


def test_a_proposal_is_all_that_a_trial_needs():
    settings = study()
    proposal = ledger_of(settings).propose()
    assert list(proposal.to_dict()) == ["number", "attempt", "seed", "distribution", "training", "group_reason"]
    assert (proposal.number, proposal.attempt) == (0, 1)
    assert proposal.seed == derive(0, "trial", 0)
    assert set(proposal.distribution.theta) == {"conv1", "conv2", "fc"}
    assert set(proposal.training) == {"learning_rate"}
    assert 0.01 <= proposal.training["learning_rate"] <= 0.3
    assert proposal.group_reason == "drawn uniformly"
    assert Proposal.from_dict(proposal.to_dict()) == Proposal.from_json(proposal.to_json()) == proposal


def test_as_many_trials_are_proposed_as_the_study_has():
    ledger = ledger_of(study())
    assert (ledger.proposed, ledger.remaining) == (0, 6)
    proposals = all_proposals(ledger)
    assert [proposal.number for proposal in proposals] == list(range(6))
    assert len({proposal.seed for proposal in proposals}) == 6
    assert len({str(proposal.distribution) for proposal in proposals}) == 6
    assert (ledger.proposed, ledger.remaining) == (6, 6)
    ledger.finish(0, 1, Outcome.FINISHED, TRAINED)
    ledger.finish(1, 1, Outcome.FAILED, TrialResult())
    assert (ledger.proposed, ledger.remaining) == (6, 4)
    assert ledger.propose() is None


def test_random_proposals_do_not_depend_on_results_or_their_order():
    settings = study()
    undisturbed = all_proposals(ledger_of(settings))
    ledger, disturbed = ledger_of(settings), []
    for step in range(6):
        disturbed.append(ledger.propose())
        if step in (2, 4):
            ledger.finish(step, 1, Outcome.FINISHED, with_objective(TRAINED, float(step)))
            ledger.finish(step - 1, 1, Outcome.STOPPED_BY_GATE, SCORED)
    assert disturbed == undisturbed


def test_another_seed_gives_other_proposals():
    one, other = (all_proposals(ledger_of(study(f"seed={seed}"))) for seed in (0, 1))
    assert all(a.seed != b.seed and a.distribution != b.distribution for a, b in zip(one, other, strict=True))


def _run_told(settings: Study, reward) -> list[Proposal]:
    ledger, proposals = ledger_of(settings), []
    while (proposal := ledger.propose()) is not None:
        proposals.append(proposal)
        score = reward(proposal)
        result = replace(with_objective(TRAINED, score), accuracy=1 / (1 + abs(score)))
        ledger.finish(proposal.number, 1, Outcome.FINISHED, result)
    return proposals


def test_tpe_told_the_same_proposes_the_same_and_told_otherwise_something_else():
    # TPE draws its first ten trials at random; one source makes one group of all.
    settings = study("search.sampler=tpe", "search.trials=16", "search.sources=['magnitude']")
    one, again, other = (
        _run_told(settings, reward)
        for reward in (
            lambda proposal: proposal.distribution.theta["fc"],
            lambda proposal: proposal.distribution.theta["fc"],
            lambda proposal: -proposal.distribution.theta["fc"],
        )
    )
    assert one == again
    assert one[:10] == other[:10]
    assert one[10:] != other[10:]


def test_proposing_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()
    all_proposals(ledger_of(study("search.sampler=tpe", "search.trials=14")))
    assert np.array_equal(np.random.get_state()[1], before)


def test_a_proposal_is_stored_before_it_is_handed_out(journal):
    settings = study()
    proposal = ledger_of(settings, journal(settings)).propose()
    stored = optuna_trials(settings, journal(settings), "masks")[0]
    assert stored.state == TrialState.RUNNING
    assert stored.user_attrs == proposal.to_dict()
    assert stored.params["source"] == proposal.distribution.source
    assert optuna_trials(settings, journal(settings), "training")[0].params == proposal.training


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_unfinished_trials_are_proposed_again_and_the_rest_as_if_nothing_had_happened(journal, sampler):
    settings = study(f"search.sampler={sampler}")
    uninterrupted = all_proposals(ledger_of(settings))
    first = ledger_of(settings, journal(settings))
    for _ in range(4):
        first.propose()
    first.finish(1, 1, Outcome.FINISHED, TRAINED)

    second = ledger_of(settings, journal(settings))
    assert (second.proposed, second.remaining) == (4, 5)
    resumed = all_proposals(second)
    assert [proposal.number for proposal in resumed] == [0, 2, 3, 4, 5]
    assert [proposal.attempt for proposal in resumed] == [2, 2, 2, 1, 1]
    expected = [uninterrupted[n] for n in (0, 2, 3, 4, 5)]
    assert [replace(p, attempt=1) for p in resumed] == expected
    assert second.proposed == 6

    third = all_proposals(ledger_of(settings, journal(settings)))
    assert [proposal.attempt for proposal in third] == [3, 3, 3, 2, 2]


ENDS = [
    (Outcome.FINISHED, TRAINED, TrialState.COMPLETE, TrialState.COMPLETE),
    (Outcome.FINISHED, SCORED, TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.STOPPED_BY_GATE, SCORED, TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.STOPPED_EARLY, TRAINED, TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.DIVERGED, replace(SCORED, reason="NaN"), TrialState.COMPLETE, TrialState.PRUNED),
    (Outcome.REJECTED, TrialResult(reason="collapsed"), TrialState.PRUNED, TrialState.PRUNED),
    (Outcome.FAILED, TrialResult(), TrialState.FAIL, TrialState.FAIL),
    (Outcome.FAILED, TRAINED, TrialState.FAIL, TrialState.FAIL),
    (Outcome.STOPPED_BY_GATE, with_objective(SCORED, math.nan), TrialState.PRUNED, TrialState.PRUNED),
    (Outcome.FINISHED, with_objective(TRAINED, math.inf), TrialState.PRUNED, TrialState.COMPLETE),
]


@pytest.mark.parametrize(("outcome", "result", "masks", "training"), ENDS)
def test_each_end_stands_as_what_it_is_and_only_a_failure_as_failed(outcome, result, masks, training):
    settings, storage = study(), InMemoryStorage()
    ledger = ledger_of(settings, storage)
    ledger.propose()
    ledger.finish(0, 1, outcome, result)
    told = optuna_trials(settings, storage, "masks")[0]
    assert told.state == masks
    assert told.value == (result.objective if masks is TrialState.COMPLETE else None)
    trained = optuna_trials(settings, storage, "training")[0]
    assert trained.state == training
    if training is TrialState.COMPLETE:
        assert trained.value == result.accuracy
    stopped_at = {100: 0.75} if outcome is Outcome.STOPPED_EARLY else {}
    assert trained.intermediate_values == stopped_at


@pytest.mark.parametrize("objective", ["l2", '["l2", "accuracy"]'])
def test_what_taught_nothing_teaches_nothing_after_a_restart(objective):
    """TPE ranks a pruned trial below all others: one that the gate stopped must not be taught as one."""
    settings = study("search.sampler=tpe", "search.trials=40", f"objective={objective}")

    def proposals(restart: bool) -> list[Proposal]:
        ledger = ledger_of(settings, storage := InMemoryStorage())
        found = []
        for number in range(40):
            found.append(ledger.propose())
            gated = number % 2
            result = with_objective(SCORED if gated else TRAINED, float(number % 7))
            ledger.finish(number, 1, Outcome.STOPPED_BY_GATE if gated else Outcome.FINISHED, result)
            if restart and number % 10 == 9:
                ledger = ledger_of(settings, storage)
        return found

    assert proposals(restart=True) == proposals(restart=False)


def test_the_values_of_a_study_have_names_and_no_baseline_is_the_best_mask():
    settings, storage = study('objective=["l2", "accuracy"]'), InMemoryStorage()
    ledger = ledger_of(settings, storage)
    ledger.record_final(FinalRecord(Label.of_trial(3), DONE))
    ledger.record_final(FinalRecord(DENSE, replace(DONE, accuracy_val=0.99)))
    assert [record.label for record in ledger.finals()] == ["trial 3", "dense"]
    opened = {
        role: optuna.load_study(study_name=f"{settings.id}/{role}", storage=storage)
        for role in ("masks", "training", "final", "baselines")
    }
    names = {role: study.metric_names for role, study in opened.items()}
    trained = ["accuracy/val_final"]
    assert names == {
        "masks": ["spectral/l2", "accuracy/warmup"],
        "training": ["accuracy/warmup"],
        "final": trained,
        "baselines": trained,
    }
    assert opened["final"].best_trial.user_attrs["label"] == "trial 3"


def test_without_searched_training_settings_there_is_nobody_to_tell():
    settings, storage = study("training.learning_rate=0.1"), InMemoryStorage()
    ledger = ledger_of(settings, storage)
    assert ledger.propose().training == {}
    ledger.finish(0, 1, Outcome.FINISHED, TRAINED)
    assert optuna_trials(settings, storage, "training") == []


@pytest.mark.parametrize("lost", ["masks", "masks and training"])
def test_an_end_that_was_written_but_not_told_is_told_on_opening(journal, monkeypatch, lost):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    # The process dies at its first, or at its second closing of a trial.
    closing = JournalStorage.set_trial_state_values
    survives = iter([lost == "masks"])

    def dying(self, *arguments, **named):
        if not next(survives, False):
            raise KeyboardInterrupt
        return closing(self, *arguments, **named)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(JournalStorage, "set_trial_state_values", dying)
        ledger.finish(0, 1, Outcome.STOPPED_EARLY, TRAINED)
    assert optuna_trials(settings, journal(settings), "masks")[0].state == TrialState.RUNNING

    reopened = ledger_of(settings, journal(settings))
    assert reopened.remaining == 5
    assert reopened.propose().number == 1
    told_now = optuna_trials(settings, journal(settings), "masks")[0]
    assert (told_now.state, told_now.value) == (TrialState.COMPLETE, 3.5)
    trained = optuna_trials(settings, journal(settings), "training")[0]
    assert (trained.state, trained.intermediate_values) == (TrialState.PRUNED, {100: 0.75})


def test_the_result_is_written_before_the_outcome_and_the_samplers_are_told_last(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    ledger.finish(0, 1, Outcome.FINISHED, TRAINED)
    *_, result, outcome, training, masks = _entries(settings, journal)
    assert (list(result["user_attr"]), list(outcome["user_attr"])) == (["result"], ["outcome"])
    assert (training["trial_id"], masks["trial_id"]) == (0, 1)
    assert "state" in training and "state" in masks


def _entries(settings: Study, journal) -> list[dict]:
    """The lines of the journal."""
    return [json.loads(line) for line in open(journal(settings)._backend._file_path)]


def test_a_proposal_of_many_layers_is_two_lines_of_the_journal(journal):
    settings, names = study(), [f"layer{n}.weight" for n in range(50)]
    ledger = OpenStudy(settings, journal(settings), names)
    before = len(_entries(settings, journal))
    assert len(ledger.propose().distribution.theta) == 50
    assert len(_entries(settings, journal)) == before + 2


def test_a_proposal_of_which_only_the_training_half_was_written_keeps_it(journal, monkeypatch):
    settings = study("search.sampler=tpe")
    ledger = ledger_of(settings, journal(settings))
    create = LedgerWriter.create

    def dying(self, role, trial):
        if role == "masks":
            raise KeyboardInterrupt
        create(self, role, trial)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LedgerWriter, "create", dying)
        ledger.propose()
    (stored,) = optuna_trials(settings, journal(settings), "training")
    proposals = all_proposals(ledger_of(settings, journal(settings)))
    assert proposals[0].training == stored.params
    assert len(proposals) == len(optuna_trials(settings, journal(settings), "training")) == 6


def test_what_an_older_attempt_writes_is_refused(journal):
    """P3: a worker, or a driver, that was given up reports late."""
    settings = study()
    zombie = ledger_of(settings, journal(settings))
    zombie.propose()
    heir = ledger_of(settings, journal(settings))
    assert heir.propose().attempt == 2
    assert not zombie.scored(0, 1, REPORT)
    assert not zombie.measured(0, 1, MEASURED)
    assert not zombie.ended(0, 1, Ended(Outcome.DIVERGED))
    assert not zombie.finish(0, 1, Outcome.DIVERGED, SCORED)
    assert heir.finish(0, 2, Outcome.FINISHED, TRAINED)
    (trial,) = heir.trials()
    assert (trial.outcome, trial.result, trial.scored, trial.measured) == (Outcome.FINISHED, TRAINED, None, {})


def test_the_first_end_of_a_trial_stands():
    """P3: a result that comes twice."""
    ledger = ledger_of(study())
    ledger.propose()
    assert ledger.finish(0, 1, Outcome.FINISHED, TRAINED)
    assert not ledger.finish(0, 1, Outcome.FAILED, TrialResult(reason="too late"))
    assert ledger.trials()[0].result == TRAINED


def test_facts_on_the_way_are_there_for_the_next_driver(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    assert ledger.scored(0, 1, REPORT)
    assert ledger.measured(0, 1, MEASURED)
    assert ledger.measured(0, 1, replace(MEASURED, iteration=20))
    (trial,) = Ledger(settings, journal(settings)).trials()
    assert (trial.scored, trial.measured) == (REPORT, {10: MEASURED, 20: replace(MEASURED, iteration=20)})
    assert trial.outcome is None


def test_a_trial_that_said_how_it_ended_is_not_run_again(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    ledger.ended(0, 1, Ended(Outcome.DIVERGED, 7))
    heir = ledger_of(settings, journal(settings))
    assert heir.propose().number == 1
    assert heir.trials()[0].end == Ended(Outcome.DIVERGED, 7)
    assert heir.finish(0, 1, Outcome.DIVERGED, SCORED)


def test_a_trial_whose_worker_died_comes_first_again_until_its_retries_are_used_up():
    """P1, and P6: bounded."""
    ledger = ledger_of(study("faults.retries=2"))
    ledger.propose()
    ledger.propose()
    for attempt in (1, 2):
        assert ledger.lost(0, attempt, 20)
        again = ledger.propose()
        assert (again.number, again.attempt) == (0, attempt + 1)
    assert not ledger.lost(0, 3, 20)
    assert ledger.propose().number == 2
    assert ledger.trials()[0].lost == 3


def test_a_driver_that_dies_while_it_notes_a_lost_worker_leaves_a_ledger_that_the_next_one_can_use(
    journal, monkeypatch
):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.propose()
    write = LedgerWriter._set

    def dying(self, number, key, value) -> None:
        if key == "lost":
            raise KeyboardInterrupt
        write(self, number, key, value)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LedgerWriter, "_set", dying)
        ledger.lost(0, 1, 20)
    heir = ledger_of(settings, journal(settings))
    assert heir.propose().attempt == 2
    assert heir.lost(0, 2, 20)
    assert heir.trials()[0].lost == 1


def test_a_trial_that_got_further_before_its_worker_died_again_has_all_its_retries():
    ledger = ledger_of(study("faults.retries=0"))
    ledger.propose()
    assert not ledger.lost(0, 1, 0)
    ledger = ledger_of(study("faults.retries=1"))
    ledger.propose()
    for attempt, reached in enumerate((0, 10, 20, 30), start=1):
        assert ledger.lost(0, attempt, reached)
        ledger.propose()
    assert not ledger.lost(0, 5, 30)


def test_an_interruption_that_is_not_the_trials_fault_uses_up_no_retries():
    ledger = ledger_of(study("faults.retries=0"))
    ledger.propose()
    for attempt in (1, 2, 3):
        ledger.proposer.retry(0)
        assert ledger.propose().attempt == attempt + 1
    assert ledger.trials()[0].lost == 0


def test_whoever_lost_the_lock_writes_nothing():
    held = True

    def check() -> None:
        if not held:
            raise InputError("another driver took over")

    ledger = OpenStudy(study(), check=check)
    ledger.propose()
    held = False
    for write in (ledger.propose, lambda: ledger.finish(0, 1, Outcome.FINISHED, TRAINED)):
        with pytest.raises(InputError, match="took over"):
            write()
    assert ledger.trials()[0].outcome is None


def test_several_objectives_make_a_front():
    settings = study('objective=["l2", "accuracy"]')
    ledger = ledger_of(settings)
    for number, (score, accuracy) in enumerate([(1.0, 0.9), (2.0, 0.8), (1.5, 0.7), (3.0, 0.1)]):
        ledger.propose()
        result = replace(with_objective(TRAINED, score), accuracy=accuracy)
        outcome = Outcome.STOPPED_EARLY if number == 3 else Outcome.FINISHED
        ledger.finish(number, 1, outcome, result)
    # The third is worse than the second in both; the fourth did not train to the end.
    assert ledger.pareto() == ["trial 0", "trial 1"]
    assert ledger_of(study()).pareto() == []


def test_ids_of_runs_stand_beside_the_trials(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    ledger.record_runs({f"{settings.id}/trial 0": "abc", settings.id: "def"})
    assert Ledger(settings, journal(settings)).runs() == {f"{settings.id}/trial 0": "abc", settings.id: "def"}


DONE = TrainingEnd(Outcome.FINISHED, 10, 0.9, 0.8)
LOST = TrainingEnd(Outcome.FAILED, reason="its worker died")


def test_a_full_training_has_one_end_unless_it_failed():
    ledger = ledger_of(study())
    failed, done = FinalRecord(DENSE, LOST), FinalRecord(DENSE, DONE)
    ledger.record_final(failed)
    assert ledger.finals() == [failed]
    ledger.record_final(done)
    ledger.record_final(FinalRecord(DENSE, replace(DONE, accuracy_val=0.1)))
    assert ledger.finals() == [done]


def test_the_check_of_another_trial_takes_the_place_of_the_former():
    ledger = ledger_of(study())
    trials = [Label.of_trial(number) for number in (1, 2)]
    former, other = (FinalRecord(SHUFFLED, DONE, of=of) for of in trials)
    for record in (former, other, other):
        ledger.record_final(record)
    assert ledger.finals() == [other]
    [known] = ledger.finals()
    assert [known.settles(SHUFFLED, of) for of in trials] == [False, True]


def test_reading_a_study_that_is_not_there_makes_nothing(tmp_path):
    reader = Ledger(study(), InMemoryStorage())
    assert (reader.trials(), reader.finals(), reader.runs(), reader.proposed, reader.remaining) == ([], [], {}, 0, 6)


def test_trials_come_back_as_they_were_written(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    proposals = [ledger.propose() for _ in range(3)]
    ledger.finish(2, 1, Outcome.DIVERGED, replace(SCORED, reason="loss is nan"))
    records = ledger_of(settings, journal(settings)).trials()
    assert [record.number for record in records] == [0, 1, 2]
    assert [record.label for record in records] == ["trial 0", "trial 1", "trial 2"]
    assert [record.outcome for record in records] == [None, None, Outcome.DIVERGED]
    assert records[2].result == replace(SCORED, reason="loss is nan")
    assert records[0].result == TrialResult()
    for record, proposal in zip(records, proposals, strict=True):
        assert record.proposal == proposal


def test_a_trial_comes_back_with_its_cost(journal):
    settings = study()
    ledger = ledger_of(settings, journal(settings))
    proposal = ledger.propose()
    scored = Scored({"spectral/objective": 3.5, "cost/iterations": 540}, "d")
    result = TrialResult().after(scored).after(MEASURED)
    ledger.finish(proposal.number, 1, Outcome.FINISHED, result)
    [record] = ledger_of(settings, journal(settings)).trials()
    assert record.result == result and record.result.cost == 550


def test_finals_come_back_in_their_order(journal):
    settings = study()
    finals = [
        FinalRecord(Label.of_trial(3), DONE, {"learning_rate": 0.1}, cost=550),
        FinalRecord(SHUFFLED, DONE, of=Label.of_trial(3), cost=550),
        FinalRecord(DENSE, TrainingEnd(Outcome.DIVERGED, 7, reason="the loss is nan")),
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
    one.record_final(FinalRecord(DENSE, DONE))
    assert (other.proposed, other.trials(), other.finals()) == (0, [], [])


def test_reading_a_ledger_changes_nothing_of_a_study_that_is_running(journal):
    settings = study()
    driver = ledger_of(settings, journal(settings))
    proposal = driver.propose()
    reader = Ledger(settings, journal(settings))
    assert [trial.outcome for trial in reader.trials()] == [None]
    driver.finish(proposal.number, 1, Outcome.FINISHED, TRAINED)
    assert [trial.outcome for trial in reader.trials()] == [Outcome.FINISHED]
