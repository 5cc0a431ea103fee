"""What comes of trials, without Ray: a simulated backend whose workers report in any order, die and come back."""

import io
import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.driver.dispatch import Dispatcher
from fullspectrum.search.driver.opentrial import Worker
from fullspectrum.search.driver.running import RunningSearch
from fullspectrum.search.driver.tuning import TuneAdapter
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.process.shutdown import Shutdown
from fullspectrum.search.protocol.events import Listeners
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal, Stage
from fullspectrum.search.protocol.report import Ended, LeftOnRequest, Measured, Report, Scored, StorageFailed
from fullspectrum.search.record.recorder import Recorder
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.screen.progress import Progress
from fullspectrum.search.store.records import TrialRecord
from optuna.storages import InMemoryStorage
from rich.console import Console

from ..drivers import OpenStudy

NAMES = ["conv1.weight", "fc.weight"]


def study(*overrides: str) -> Study:
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "search": {"trials": 12, "sampler": "random"},
        "gate": {"quantile": 0.6, "control": 0.2},
        "warmup": {"iterations": 40, "report_every": 10, "grace_period": 10, "reduction_factor": 2.0},
        "training": {"learning_rate": {"low": 0.01, "high": 0.3, "log": True}},
    }
    return parse(with_overrides(settings, overrides))


#: Where every worker of the simulated backend runs.
HERE = Worker("here", 1)


class Driver:
    """A driver of a study over a storage that outlives it."""

    def __init__(self, settings: Study, storage, folder: StudyFolder):
        self.settings = settings
        self.spool = Spool(folder.spool)
        self.shutdown = Shutdown(folder.leave, 0.0)
        opened = OpenStudy(settings, storage, NAMES)
        self.ledger = opened.ledger
        progress = Progress(Console(file=io.StringIO()), settings.search.trials, "distance")
        listeners = Listeners(Recorder(settings, folder, self.spool), progress)
        bench = SimpleNamespace(start=SimpleNamespace(study=settings))
        self.search = RunningSearch(bench, folder, self.ledger, opened.proposer, listeners, self.shutdown, None)
        self.dispatcher = Dispatcher(self.search)
        self.dispatcher.take_up()

    def report(self, number: int, attempt: int, *reports: Report) -> bool:
        """A worker reports after a step."""
        return self.dispatcher.report(number, attempt, reports, HERE)


def scored(score: float = 1.0, digest: str = "d") -> Scored:
    return Scored({"spectral/objective": score, "spectral/l2": score}, digest)


def measured(iteration: int, accuracy: float, loss: float = 1.0) -> Measured:
    return Measured(iteration, accuracy, loss)


def script(settings: Study, proposal: Proposal) -> list[list[Report]]:
    """What the trial reports, step by step: a function of its proposal, as a trial's results are."""
    generator = np.random.default_rng(proposal.seed % 2**32)
    fate = generator.random()
    if fate < 0.1:
        return [[Ended(Outcome.REJECTED, 0, "layer fc is collapsed")]]
    if fate < 0.2:
        return [[Ended(Outcome.FAILED, 0, "ArithmeticError: no")]]
    steps = [[scored(round(float(generator.random()), 1), str(proposal.seed))]]
    for iteration in settings.warmup.reports:
        if generator.random() < 0.05:
            steps.append([Ended(Outcome.DIVERGED, iteration, "the loss is nan")])
            return steps[proposal.stage is Stage.TRAINING :]
        steps.append([measured(iteration, *np.round(generator.random(2), 1).tolist())])
    steps[-1].append(Ended(Outcome.FINISHED, iteration))
    # A worker that only trains has the mask from the one that scored.
    return steps[proposal.stage is Stage.TRAINING :]


def play(driver: Driver, generator: np.random.Generator | None, workers: int, stop_after: float = np.inf) -> None:
    """Runs trials on so many workers, whoever is next chosen at random; stops, as if killed, after so many events."""
    dispatcher, running, events = driver.dispatcher, {}, 0
    while True:
        while len(running) < workers and (proposal := dispatcher.propose()) is not None:
            dispatcher.started(proposal.number)
            running[proposal.number] = (proposal, script(driver.settings, proposal))
        if not running or events >= stop_after:
            return
        number = int(generator.choice(list(running))) if generator is not None else min(running)
        proposal, steps = running[number]
        events += 1
        if generator is not None and generator.random() < 0.02:
            dispatcher.interrupted()
            running.clear()
        elif not driver.report(number, proposal.attempt, *steps.pop(0)):
            del running[number]


def state(trials: list[TrialRecord]) -> list[tuple]:
    """The final state of a study, but for times and attempts."""
    return [(t.number, t.proposal.seed, t.distribution, t.training, t.outcome, t.result) for t in trials]


def told(folder: StudyFolder) -> dict[str, list[str]]:
    """The points that the record was told of each run, without their times."""
    runs: dict[str, list[str]] = {}
    for line in folder.spool.read_text().splitlines():
        event = json.loads(line)
        if event["op"] == "metrics":
            for metric, value in event["metrics"].items():
                runs.setdefault(event["run"], []).append(f"{metric} {event['step']} {value}")
    return runs


def folder_at(path) -> StudyFolder:
    path.mkdir()
    return StudyFolder(path)


@pytest.fixture(params=["accuracy", "training_loss"])
def undisturbed(tmp_path, request) -> Driver:
    settings = study(f"warmup.metric={request.param}")
    driver = Driver(settings, InMemoryStorage(), folder_at(tmp_path / "undisturbed"))
    play(driver, None, 1)
    return driver


def test_the_undisturbed_study_has_every_kind_of_end(undisturbed):
    # Else the tests below would say little.
    outcomes = {trial.outcome for trial in undisturbed.ledger.trials()}
    assert outcomes >= {Outcome.FINISHED, Outcome.STOPPED_BY_GATE, Outcome.STOPPED_EARLY}
    assert len(outcomes) >= 4


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_neither_workers_nor_the_order_in_which_they_report_change_the_outcome(undisturbed, tmp_path, workers, seed):
    driver = Driver(undisturbed.settings, InMemoryStorage(), folder_at(tmp_path / "other"))
    play(driver, np.random.default_rng(seed), workers)
    assert driver.dispatcher.done
    assert state(driver.ledger.trials()) == state(undisturbed.ledger.trials())


SCALES = {"random": 5.0, "magnitude": 0.1, "snip": 100.0}


@pytest.mark.parametrize("within", ["group", "study"])
def test_trials_of_sources_of_other_scales_pass_the_gate_where_it_judges_within_groups(tmp_path, within):
    settings = study(f"gate.within={within}", "gate.quantile=0.3", "gate.control=0", "search.trials=45")
    driver, passed = Driver(settings, InMemoryStorage(), folder_at(tmp_path / "study")), Counter()
    while (proposal := driver.dispatcher.propose()) is not None:
        source = proposal.distribution.source
        score = SCALES[source] * (1 + np.random.default_rng(proposal.number).random())
        if driver.report(proposal.number, 1, scored(score)):
            driver.report(proposal.number, 1, Ended(Outcome.DIVERGED, 0, "enough"))
    for trial in driver.ledger.trials():
        passed[trial.distribution.source] += trial.result.gate == "passed"
    if within == "group":
        assert all(passed[source] >= 3 for source in SCALES)
    else:
        assert passed["magnitude"] <= 1 and passed["snip"] > 8


@pytest.mark.parametrize("seed", range(12))
def test_a_driver_that_dies_anywhere_changes_nothing_and_tells_nothing_twice(undisturbed, tmp_path, seed):
    """P1, P3: killed after any number of events, several times, and resumed."""
    generator, storage = np.random.default_rng(100 + seed), InMemoryStorage()
    folder = folder_at(tmp_path / "killed")
    driver = Driver(undisturbed.settings, storage, folder)
    while not driver.dispatcher.done:
        play(driver, generator, 3, stop_after=int(generator.integers(1, 25)))
        driver = Driver(undisturbed.settings, storage, folder)
    assert state(driver.ledger.trials()) == state(undisturbed.ledger.trials())
    points = told(folder)
    assert all(len(mine) == len(set(mine)) for mine in points.values())
    expected = told(StudyFolder(tmp_path / "undisturbed"))
    assert {run: sorted(mine) for run, mine in points.items()} == {run: sorted(mine) for run, mine in expected.items()}


@pytest.mark.parametrize("seed", range(3))
def test_groups_that_accuracies_choose_are_the_same_after_any_number_of_drivers(tmp_path, seed):
    settings = study("search.sampler=tpe", "search.trials=30", "pretraining.iterations={choices=[0, 400]}")
    undisturbed = Driver(settings, InMemoryStorage(), folder_at(tmp_path / "undisturbed"))
    play(undisturbed, None, 1)
    generator, storage, folder = np.random.default_rng(seed), InMemoryStorage(), folder_at(tmp_path / "killed")
    driver = Driver(settings, storage, folder)
    while not driver.dispatcher.done:
        play(driver, generator, 1, stop_after=int(generator.integers(1, 15)))
        driver = Driver(settings, storage, folder)
    found, expected = driver.ledger.trials(), undisturbed.ledger.trials()
    assert state(found) == state(expected)
    assert [trial.proposal.group_reason for trial in found] == [trial.proposal.group_reason for trial in expected]
    # 6 groups have two each first.
    assert any("Thompson" in trial.proposal.group_reason for trial in found[12:])


@pytest.mark.parametrize("lost", ["the record", "the end of a trial"])
def test_a_driver_that_dies_between_ledger_and_record_is_made_up_for(tmp_path, monkeypatch, lost):
    """P3, fault 5: Optuna was told, MLflow was not."""
    storage, folder = InMemoryStorage(), folder_at(tmp_path / "killed")
    driver = Driver(study("warmup.iterations=0"), storage, folder)
    proposal = driver.dispatcher.propose()
    driver.dispatcher.started(0)

    def dying(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "trial_reported" if lost == "the record" else "trial_ended", dying)
    with pytest.raises(KeyboardInterrupt):
        driver.report(0, proposal.attempt, Scored({"spectral/objective": 1.0}, "d"), Ended(Outcome.FINISHED))
    monkeypatch.undo()
    assert driver.ledger.trials()[0].outcome is Outcome.FINISHED
    for _ in range(2):
        Driver(study("warmup.iterations=0"), storage, folder)
        events = [json.loads(line) for line in folder.spool.read_text().splitlines()]
        mine = [event for event in events if event["run"].endswith("/trial 0")]
        assert sum(event["op"] == "end" for event in mine) == 1
        assert [event["metrics"] for event in mine if event["op"] == "metrics"] == [{"spectral/objective": 1.0}]


def test_a_late_report_of_an_attempt_that_was_given_up_is_refused(tmp_path):
    """P3, fault 3."""
    driver = Driver(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    first = driver.dispatcher.propose()
    driver.dispatcher.lost(0, 1, "its worker died")
    again = driver.dispatcher.propose()
    assert (again.number, again.attempt) == (0, 2)
    steps = script(study(), first)
    assert not driver.report(0, 1, *steps[0])
    assert driver.ledger.trials()[0].scored is None
    assert driver.report(0, 2, *steps[0]) == (len(steps) > 1)


def test_a_result_that_comes_again_counts_once(tmp_path):
    """Fault 15."""
    folder = folder_at(tmp_path / "study")
    driver = Driver(study("gate.quantile=1.0"), InMemoryStorage(), folder)
    driver.dispatcher.propose()
    for _ in range(3):
        driver.report(0, 1, Scored({"spectral/objective": 1.0}, "d"))
        driver.report(0, 1, measured(10, 0.5))
    (points,) = told(folder).values()
    expected = ["accuracy/val 10 0.5", "spectral/objective 0 1.0", "training/iterations 10 10", "training/loss 10 1.0"]
    assert sorted(points) == expected


def test_the_mask_that_an_earlier_attempt_chose_is_not_searched_again(tmp_path):
    driver = Driver(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    assert driver.dispatcher.propose().digest is None
    driver.report(0, 1, scored())
    driver.dispatcher.interrupted()
    assert driver.dispatcher.propose().digest == "d"


def test_trials_that_no_worker_has_taken_up_yet_are_interrupted_with_the_others(tmp_path):
    driver = Driver(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    for _ in range(3):
        driver.dispatcher.propose()
    driver.dispatcher.started(0)
    driver.dispatcher.lost(0, 1, "its worker ran out of memory")
    driver.dispatcher.interrupted()
    assert driver.dispatcher.idle
    again = [driver.dispatcher.propose() for _ in range(4)]
    assert [(one.number, one.attempt) for one in again] == [(0, 2), (1, 2), (2, 2), (3, 1)]


def test_a_worker_that_dies_while_the_search_shuts_down_is_not_held_against_its_trial(tmp_path):
    driver = Driver(study("faults.retries=0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    driver.dispatcher.propose()
    driver.shutdown.request("SIGTERM")
    driver.dispatcher.lost(0, 1, "its worker died")
    assert driver.dispatcher.idle
    assert driver.ledger.trials()[0].outcome is None


@pytest.mark.parametrize("iteration", [10, 15, 20])
def test_where_a_trial_diverged_nothing_was_measured_also_for_the_next_driver(tmp_path, iteration):
    """P3: also at a rung, of which the others would be held against an accuracy that never was."""
    storage, folder, settings = InMemoryStorage(), folder_at(tmp_path / "study"), study("gate.quantile=1.0")
    driver = Driver(settings, storage, folder)
    for number in range(2):
        driver.dispatcher.propose()
        driver.report(number, 1, scored())
    driver.report(0, 1, measured(10, 0.9))
    driver.report(0, 1, Ended(Outcome.DIVERGED, iteration, "the loss is nan"))
    points = told(folder)
    heir = Driver(settings, storage, folder)
    assert told(folder) == points
    assert heir.dispatcher.propose().number == 1
    for reached in (10, 20):
        heir.report(1, 2, measured(reached, 0.95))
    # Nobody else was at the rung at 20.
    assert heir.ledger.trials()[1].outcome is None


def test_an_attempt_that_fails_before_it_trains_does_not_undo_what_the_one_before_measured(tmp_path):
    driver = Driver(study("gate.quantile=1.0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    for number in range(2):
        driver.dispatcher.propose()
        driver.report(number, 1, scored())
    driver.report(1, 1, measured(10, 0.5))
    driver.dispatcher.lost(1, 1, "its worker died")
    assert driver.dispatcher.propose().attempt == 2
    driver.report(1, 2, Ended(Outcome.FAILED, 0, "no"))
    # Trial 0 decides first whether the other was stopped at the rung.
    assert driver.ledger.trials()[1].outcome is None
    driver.report(0, 1, measured(10, 0.9))
    trial = driver.ledger.trials()[1]
    assert (trial.outcome, trial.result.iterations) == (Outcome.STOPPED_EARLY, 10)


def test_a_trial_whose_workers_keep_dying_fails_alone(tmp_path):
    """P6, fault 10: bounded retries."""
    driver = Driver(study("faults.retries=1", "search.trials=3"), InMemoryStorage(), folder_at(tmp_path / "study"))
    for attempt in (1, 2):
        assert driver.dispatcher.propose().number == 0
        driver.dispatcher.lost(0, attempt, "its worker ran out of memory")
    play(driver, None, 1)
    trials = driver.ledger.trials()
    assert (trials[0].outcome, trials[0].result.reason) == (Outcome.FAILED, "its worker ran out of memory")
    assert all(trial.outcome for trial in trials)


@pytest.mark.parametrize(
    ("budget", "ended"), [(("faults.failure_fraction=0.5",), 10), (("faults.max_failures=3",), 3), ((), 10)]
)
def test_a_hopeless_study_stops_and_names_the_commonest_reason(tmp_path, budget, ended):
    """Fault 18."""
    driver = Driver(study("search.trials=40", *budget), InMemoryStorage(), folder_at(tmp_path / "study"))
    while (proposal := driver.dispatcher.propose()) is not None:
        reason = "a rare one" if proposal.number == 0 else "RuntimeError: the data set is gone"
        driver.report(proposal.number, 1, Ended(Outcome.FAILED, 0, reason))
    assert driver.shutdown.requested
    expected = f"{ended} of {ended} trials failed; the commonest reason: RuntimeError: the data set is gone"
    assert driver.shutdown.reason == expected
    assert driver.ledger.proposed == ended


def test_rejected_and_diverged_trials_are_results_and_stop_nothing(tmp_path):
    """P6."""
    driver = Driver(
        study("search.trials=20", "faults.max_failures=1"), InMemoryStorage(), folder_at(tmp_path / "study")
    )
    while (proposal := driver.dispatcher.propose()) is not None:
        outcome = Outcome.REJECTED if proposal.number % 2 else Outcome.DIVERGED
        driver.report(proposal.number, 1, Ended(outcome, 0, "x"))
    assert driver.dispatcher.done and not driver.shutdown.requested


def test_while_it_shuts_down_nothing_new_is_proposed_and_what_left_goes_on_later(tmp_path):
    storage, folder = InMemoryStorage(), folder_at(tmp_path / "study")
    driver = Driver(study(), storage, folder)
    driver.dispatcher.propose()
    assert driver.dispatcher.running == []
    driver.dispatcher.started(0)
    assert [one["trial"] for one in driver.dispatcher.running] == [0]
    driver.shutdown.request("Ctrl-C")
    assert driver.dispatcher.propose() is None
    assert not driver.dispatcher.idle
    assert not driver.report(0, 1, LeftOnRequest())
    assert driver.dispatcher.idle and not driver.dispatcher.done
    heir = Driver(study(), storage, folder).dispatcher.propose()
    assert (heir.number, heir.attempt) == (0, 2)


def test_a_worker_that_cannot_write_stops_the_search_and_not_its_trial(tmp_path):
    """Fault 9."""
    driver = Driver(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    driver.dispatcher.propose()
    driver.dispatcher.started(0)
    assert not driver.report(0, 1, StorageFailed("No space left on device"))
    assert driver.shutdown.reason == "No space left on device"
    assert driver.ledger.trials()[0].outcome is None


#: As the workers of one study that has both are told apart.
APART = ("resources.accelerator='T4'", "resources.scoring_cpus=1")


def apart(undisturbed: Driver, storage, folder: StudyFolder, *overrides: str) -> Driver:
    """A driver of the same study that scores trials apart from their training."""
    settings = undisturbed.settings.model_copy(update={"resources": study(*APART, *overrides).resources})
    return Driver(settings, storage, folder)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_scoring_apart_changes_no_outcome_and_no_attempt(undisturbed, tmp_path, workers, seed):
    driver = apart(undisturbed, InMemoryStorage(), folder_at(tmp_path / "apart"))
    play(driver, np.random.default_rng(seed), workers)
    assert driver.dispatcher.done
    assert state(driver.ledger.trials()) == state(undisturbed.ledger.trials())


@pytest.mark.parametrize("seed", range(6))
def test_a_driver_that_scores_apart_and_dies_anywhere_changes_nothing(undisturbed, tmp_path, seed):
    """P1, P3."""
    generator, storage = np.random.default_rng(200 + seed), InMemoryStorage()
    folder = folder_at(tmp_path / "killed")
    driver = apart(undisturbed, storage, folder)
    while not driver.dispatcher.done:
        play(driver, generator, 3, stop_after=int(generator.integers(1, 25)))
        driver = apart(undisturbed, storage, folder)
    assert state(driver.ledger.trials()) == state(undisturbed.ledger.trials())
    assert all(len(mine) == len(set(mine)) for mine in told(folder).values())


def test_a_trial_leaves_its_scoring_worker_and_takes_another_only_past_the_gate(tmp_path):
    driver = Driver(study(*APART, "gate.control=0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    dispatcher = driver.dispatcher
    proposals = [dispatcher.propose() for _ in range(3)]
    assert {one.stage for one in proposals} == {Stage.SCORING}
    # Trial 1 waits for the gate, which decides on trial 0 first.
    assert not driver.report(1, 1, scored(2.0, "of 1"))
    assert dispatcher.propose().stage is Stage.SCORING
    assert not driver.report(0, 1, scored(1.0, "of 0"))
    first, second = dispatcher.propose(), dispatcher.propose()
    assert [(one.number, one.attempt, one.stage, one.digest) for one in (first, second)] == [
        (0, 1, Stage.TRAINING, "of 0"),
        (1, 1, Stage.TRAINING, "of 1"),
    ]
    assert driver.report(0, 1, measured(10, 0.5))


def test_a_lost_scoring_worker_is_retried_as_one_and_a_lost_training_worker_as_one(tmp_path):
    driver = Driver(study(*APART), InMemoryStorage(), folder_at(tmp_path / "study"))
    dispatcher = driver.dispatcher
    dispatcher.propose()
    dispatcher.lost(0, 1, "its worker died")
    again = dispatcher.propose()
    assert (again.number, again.attempt, again.stage) == (0, 2, Stage.SCORING)
    driver.report(0, 2, scored())
    # Nobody has it now: whoever scored it may die.
    dispatcher.lost(0, 2, "its worker died")
    assert (dispatcher.propose().attempt, dispatcher.running) == (2, [])
    dispatcher.lost(0, 2, "its worker died")
    again = dispatcher.propose()
    assert (again.number, again.attempt, again.stage, again.digest) == (0, 3, Stage.TRAINING, "d")


def test_scoring_takes_no_core_of_a_training_and_never_stands_still_without_one(tmp_path):
    driver = Driver(study(*APART, "gate.quantile=1.0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    driver.dispatcher = Dispatcher(driver.search, lambda: 0)
    dispatcher = driver.dispatcher
    assert dispatcher.propose().stage is Stage.SCORING
    assert dispatcher.propose() is None and not dispatcher.idle
    driver.report(0, 1, scored())
    assert dispatcher.propose().stage is Stage.TRAINING
    assert dispatcher.propose() is None
    driver.report(0, 1, Ended(Outcome.DIVERGED, 5, "x"))
    assert (dispatcher.propose().number, dispatcher.propose()) == (1, None)


def test_no_more_trials_train_or_are_open_beside_them_than_run_at_once(tmp_path):
    settings = study(*APART, "gate.quantile=1.0", "search.max_concurrent=3", "search.trials=12")
    driver = Driver(settings, InMemoryStorage(), folder_at(tmp_path / "study"))
    stages = Counter()
    for _ in range(10):
        for proposal in iter(driver.dispatcher.propose, None):
            stages[proposal.stage] += 1
            if proposal.stage is Stage.SCORING:
                driver.report(proposal.number, 1, scored())
    # Nothing has been trained to its end: three train, and three more are scored and wait.
    assert stages == {Stage.TRAINING: 3, Stage.SCORING: 6}


def test_a_trial_of_a_source_that_trains_keeps_its_worker_for_its_whole_life(tmp_path):
    settings = study(*APART, "search.sources=['imp']", "search.rounds=2", "gate.quantile=1.0")
    driver = Driver(settings, InMemoryStorage(), folder_at(tmp_path / "study"))
    assert driver.dispatcher.propose().stage is Stage.WHOLE
    assert driver.report(0, 1, scored())


@pytest.mark.parametrize(("pid", "charged"), [(11, 0), (12, 1), (13, 2)])
def test_running_out_of_memory_is_charged_to_the_trial_whose_worker_it_was(tmp_path, pid, charged):
    """Fault 10: two workers that have not reported yet, and one that was just starting."""
    driver = Driver(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    for number, process in ((0, 11), (1, 12)):
        driver.dispatcher.propose()
        driver.dispatcher.started(number, Worker("here", process))
    driver.dispatcher.propose()
    TuneAdapter(driver.dispatcher, driver.shutdown).out_of_memory(f"killed: ray::MaskTrial pid={pid}, ip=10.0.0.1")
    assert [trial.lost for trial in driver.ledger.trials()] == [int(number == charged) for number in range(3)]
    # All of them go on.
    assert sorted(driver.dispatcher.propose().number for _ in range(3)) == [0, 1, 2]
