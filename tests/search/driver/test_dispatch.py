"""What comes of trials, without Ray: a simulated backend whose workers report in any order, die and come back."""

import io
import json

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.driver.dispatch import Dispatcher
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.process.shutdown import Drain
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.record.recorder import Recorder
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.screen.progress import Progress
from fullspectrum.search.store.ledger import Ledger, TrialRecord
from optuna.storages import InMemoryStorage
from rich.console import Console

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


class Desk:
    """A driver's part of a study: ledger, record and dispatcher over a storage that outlives it."""

    def __init__(self, settings: Study, storage, folder: StudyFolder):
        self.settings = settings
        self.ledger = Ledger(settings, storage)
        self.ledger.take_over(NAMES)
        self.spool = Spool(folder.spool)
        self.drain = Drain(folder.leave, 0.0)
        recorder = Recorder(settings, folder, self.spool)
        progress = Progress(Console(file=io.StringIO()), settings.search.trials, "distance")
        self.dispatcher = Dispatcher(settings, folder, self.ledger, recorder, progress, self.drain)
        self.dispatcher.take_up()


def script(settings: Study, proposal: dict) -> list[dict]:
    """What the trial reports, one after the other: a function of its proposal, as a trial's results are."""
    generator = np.random.default_rng(proposal["seed"] % 2**32)
    fate = generator.random()
    if fate < 0.1:
        return [{"training/iterations": 0, "outcome": "rejected", "reason": "layer fc is collapsed"}]
    if fate < 0.2:
        return [{"training/iterations": 0, "outcome": "failed", "reason": "ArithmeticError: no"}]
    score = round(float(generator.random()), 1)
    results = [
        {"training/iterations": 0, "spectral/objective": score, "spectral/l2": score, "digest": str(proposal["seed"])}
    ]
    for iteration in settings.warmup.reports:
        if generator.random() < 0.05:
            return [*results, {"training/iterations": iteration, "outcome": "diverged", "reason": "the loss is nan"}]
        accuracy = round(float(generator.random()), 1)
        results.append({"training/iterations": iteration, "training/loss": 1.0, "accuracy/val": accuracy})
    results[-1]["outcome"] = "finished"
    return results


def play(desk: Desk, generator: np.random.Generator | None, workers: int, stop_after: float = np.inf) -> None:
    """Runs trials on so many workers, whoever is next chosen at random; stops, as if killed, after so many events."""
    dispatcher, running, events = desk.dispatcher, {}, 0
    while True:
        while len(running) < workers and (proposal := dispatcher.propose()) is not None:
            dispatcher.started(proposal["number"])
            running[proposal["number"]] = (proposal, script(desk.settings, proposal))
        if not running or events >= stop_after:
            return
        number = int(generator.choice(list(running))) if generator is not None else min(running)
        proposal, results = running[number]
        attempt, events = proposal["attempt"], events + 1
        if generator is not None and generator.random() < 0.02:
            dispatcher.interrupted()
            running.clear()
        elif not dispatcher.result(number, attempt, dict(results.pop(0)), "here", 1):
            del running[number]


def state(trials: list[TrialRecord]) -> list[tuple]:
    """The final state of a study, but for times and attempts."""
    return [(t.number, t.seed, t.distribution, t.training, t.outcome, t.result) for t in trials]


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


@pytest.fixture
def undisturbed(tmp_path) -> Desk:
    desk = Desk(study(), InMemoryStorage(), folder_at(tmp_path / "undisturbed"))
    play(desk, None, 1)
    return desk


def test_the_undisturbed_study_has_every_kind_of_end(undisturbed):
    # Else the tests below would say little.
    outcomes = {trial.outcome for trial in undisturbed.ledger.trials()}
    assert outcomes >= {Outcome.FINISHED, Outcome.STOPPED_BY_GATE, Outcome.STOPPED_EARLY}
    assert len(outcomes) >= 4


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("seed", range(5))
def test_neither_workers_nor_the_order_in_which_they_report_change_the_outcome(undisturbed, tmp_path, workers, seed):
    desk = Desk(study(), InMemoryStorage(), folder_at(tmp_path / "other"))
    play(desk, np.random.default_rng(seed), workers)
    assert desk.dispatcher.done
    assert state(desk.ledger.trials()) == state(undisturbed.ledger.trials())


@pytest.mark.parametrize("seed", range(12))
def test_a_driver_that_dies_anywhere_changes_nothing_and_tells_nothing_twice(undisturbed, tmp_path, seed):
    """P1, P3: killed after any number of events, several times, and resumed."""
    generator, storage = np.random.default_rng(100 + seed), InMemoryStorage()
    folder = folder_at(tmp_path / "killed")
    desk = Desk(study(), storage, folder)
    while not desk.dispatcher.done:
        play(desk, generator, 3, stop_after=int(generator.integers(1, 25)))
        desk = Desk(study(), storage, folder)
    assert state(desk.ledger.trials()) == state(undisturbed.ledger.trials())
    points = told(folder)
    assert all(len(mine) == len(set(mine)) for mine in points.values())
    expected = told(StudyFolder(tmp_path / "undisturbed"))
    assert {run: sorted(mine) for run, mine in points.items()} == {run: sorted(mine) for run, mine in expected.items()}


@pytest.mark.parametrize("lost", ["the record", "the end of a trial"])
def test_a_driver_that_dies_between_ledger_and_record_is_made_up_for(tmp_path, monkeypatch, lost):
    """P3, fault 5: Optuna was told, MLflow was not."""
    storage, folder = InMemoryStorage(), folder_at(tmp_path / "killed")
    desk = Desk(study("warmup.iterations=0"), storage, folder)
    proposal = desk.dispatcher.propose()
    desk.dispatcher.started(0)

    def dying(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "trial_result" if lost == "the record" else "end_trial", dying)
    with pytest.raises(KeyboardInterrupt):
        values = {"training/iterations": 0, "spectral/objective": 1.0, "digest": "d", "outcome": "finished"}
        desk.dispatcher.result(0, proposal["attempt"], values)
    monkeypatch.undo()
    assert desk.ledger.trials()[0].outcome is Outcome.FINISHED
    for _ in range(2):
        Desk(study("warmup.iterations=0"), storage, folder)
        events = [json.loads(line) for line in folder.spool.read_text().splitlines()]
        mine = [event for event in events if event["run"].endswith("/trial 0")]
        assert sum(event["op"] == "end" for event in mine) == 1
        assert [event["metrics"] for event in mine if event["op"] == "metrics"] == [{"spectral/objective": 1.0}]


def test_a_late_report_of_an_attempt_that_was_given_up_is_refused(tmp_path):
    """P3, fault 3."""
    desk = Desk(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    first = desk.dispatcher.propose()
    desk.dispatcher.lost(0, 1, "its worker died")
    again = desk.dispatcher.propose()
    assert (again["number"], again["attempt"]) == (0, 2)
    results = script(study(), first)
    assert not desk.dispatcher.result(0, 1, dict(results[0]))
    assert desk.ledger.trials()[0].scored is None
    assert desk.dispatcher.result(0, 2, dict(results[0])) == (len(results) > 1)


def test_a_result_that_comes_again_counts_once(tmp_path):
    """Fault 15."""
    folder = folder_at(tmp_path / "study")
    desk = Desk(study("gate.quantile=1.0"), InMemoryStorage(), folder)
    desk.dispatcher.propose()
    for _ in range(3):
        desk.dispatcher.result(0, 1, {"training/iterations": 0, "spectral/objective": 1.0, "digest": "d"})
        desk.dispatcher.result(0, 1, {"training/iterations": 10, "accuracy/val": 0.5})
    (points,) = told(folder).values()
    assert sorted(points) == ["accuracy/val 10 0.5", "spectral/objective 0 1.0", "training/iterations 10 10"]


def test_the_mask_that_an_earlier_attempt_chose_is_not_searched_again(tmp_path):
    desk = Desk(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    assert desk.dispatcher.propose()["digest"] is None
    desk.dispatcher.result(0, 1, {"training/iterations": 0, "spectral/objective": 1.0, "digest": "d"})
    desk.dispatcher.interrupted()
    assert desk.dispatcher.propose()["digest"] == "d"


def test_trials_that_no_worker_has_taken_up_yet_are_interrupted_with_the_others(tmp_path):
    desk = Desk(study(), InMemoryStorage(), folder_at(tmp_path / "study"))
    for _ in range(3):
        desk.dispatcher.propose()
    desk.dispatcher.started(0)
    desk.dispatcher.lost(0, 1, "its worker ran out of memory")
    desk.dispatcher.interrupted()
    assert desk.dispatcher.idle
    again = [desk.dispatcher.propose() for _ in range(4)]
    assert [(one["number"], one["attempt"]) for one in again] == [(0, 2), (1, 2), (2, 2), (3, 1)]


def test_a_worker_that_dies_while_the_search_drains_is_not_held_against_its_trial(tmp_path):
    desk = Desk(study("faults.retries=0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    desk.dispatcher.propose()
    desk.drain.ask("SIGTERM")
    desk.dispatcher.lost(0, 1, "its worker died")
    assert desk.dispatcher.idle
    assert desk.ledger.trials()[0].outcome is None


@pytest.mark.parametrize("iteration", [10, 15, 20])
def test_where_a_trial_diverged_nothing_was_measured_also_for_the_next_driver(tmp_path, iteration):
    """P3: also at a rung, of which the others would be held against an accuracy that never was."""
    storage, folder, settings = InMemoryStorage(), folder_at(tmp_path / "study"), study("gate.quantile=1.0")
    desk = Desk(settings, storage, folder)
    for number in range(2):
        desk.dispatcher.propose()
        desk.dispatcher.result(number, 1, {"training/iterations": 0, "spectral/objective": 1.0, "digest": "d"})
    desk.dispatcher.result(0, 1, {"training/iterations": 10, "accuracy/val": 0.9})
    diverged = {"training/iterations": iteration, "outcome": "diverged", "reason": "the loss is nan"}
    desk.dispatcher.result(0, 1, diverged)
    points = told(folder)
    heir = Desk(settings, storage, folder)
    assert told(folder) == points
    assert heir.dispatcher.propose()["number"] == 1
    for reached in (10, 20):
        heir.dispatcher.result(1, 2, {"training/iterations": reached, "accuracy/val": 0.95})
    # Nobody else was at the rung at 20.
    assert heir.ledger.trials()[1].outcome is None


def test_an_attempt_that_fails_before_it_trains_does_not_undo_what_the_one_before_measured(tmp_path):
    desk = Desk(study("gate.quantile=1.0"), InMemoryStorage(), folder_at(tmp_path / "study"))
    for number in range(2):
        desk.dispatcher.propose()
        desk.dispatcher.result(number, 1, {"training/iterations": 0, "spectral/objective": 1.0, "digest": "d"})
    desk.dispatcher.result(1, 1, {"training/iterations": 10, "accuracy/val": 0.5})
    desk.dispatcher.lost(1, 1, "its worker died")
    assert desk.dispatcher.propose()["attempt"] == 2
    desk.dispatcher.result(1, 2, {"training/iterations": 0, "outcome": "failed", "reason": "no"})
    # Trial 0 decides first whether the other was stopped at the rung.
    assert desk.ledger.trials()[1].outcome is None
    desk.dispatcher.result(0, 1, {"training/iterations": 10, "accuracy/val": 0.9})
    trial = desk.ledger.trials()[1]
    assert (trial.outcome, trial.result["training/iterations"]) == (Outcome.STOPPED_EARLY, 10)


def test_a_trial_whose_workers_keep_dying_fails_alone(tmp_path):
    """P6, fault 10: bounded retries."""
    desk = Desk(study("faults.retries=1", "search.trials=3"), InMemoryStorage(), folder_at(tmp_path / "study"))
    for attempt in (1, 2):
        assert desk.dispatcher.propose()["number"] == 0
        desk.dispatcher.lost(0, attempt, "its worker ran out of memory")
    play(desk, None, 1)
    trials = desk.ledger.trials()
    assert (trials[0].outcome, trials[0].result["reason"]) == (Outcome.FAILED, "its worker ran out of memory")
    assert all(trial.outcome for trial in trials)


@pytest.mark.parametrize(
    ("budget", "ended"), [(("faults.failure_fraction=0.5",), 10), (("faults.max_failures=3",), 3), ((), 10)]
)
def test_a_hopeless_study_stops_and_names_the_commonest_reason(tmp_path, budget, ended):
    """Fault 18."""
    desk = Desk(study("search.trials=40", *budget), InMemoryStorage(), folder_at(tmp_path / "study"))
    while (proposal := desk.dispatcher.propose()) is not None:
        number = proposal["number"]
        reason = "a rare one" if number == 0 else "RuntimeError: the data set is gone"
        desk.dispatcher.result(number, 1, {"training/iterations": 0, "outcome": "failed", "reason": reason})
    assert desk.drain.asked
    expected = f"{ended} of {ended} trials failed; the commonest reason: RuntimeError: the data set is gone"
    assert desk.drain.reason == expected
    assert desk.ledger.proposed == ended


def test_rejected_and_diverged_trials_are_results_and_stop_nothing(tmp_path):
    """P6."""
    desk = Desk(study("search.trials=20", "faults.max_failures=1"), InMemoryStorage(), folder_at(tmp_path / "study"))
    while (proposal := desk.dispatcher.propose()) is not None:
        outcome = "rejected" if proposal["number"] % 2 else "diverged"
        desk.dispatcher.result(proposal["number"], 1, {"training/iterations": 0, "outcome": outcome, "reason": "x"})
    assert desk.dispatcher.done and not desk.drain.asked


def test_while_it_drains_nothing_new_is_proposed_and_what_left_goes_on_later(tmp_path):
    storage, folder = InMemoryStorage(), folder_at(tmp_path / "study")
    desk = Desk(study(), storage, folder)
    desk.dispatcher.propose()
    assert desk.dispatcher.running == []
    desk.dispatcher.started(0)
    assert [one["trial"] for one in desk.dispatcher.running] == [0]
    desk.drain.ask("Ctrl-C")
    assert desk.dispatcher.propose() is None
    assert not desk.dispatcher.idle
    desk.dispatcher.left(0, 1)
    assert desk.dispatcher.idle and not desk.dispatcher.done
    heir = Desk(study(), storage, folder).dispatcher.propose()
    assert (heir["number"], heir["attempt"]) == (0, 2)
