"""What a search costs stays the same, however many trials have ended, and every worker gets its share."""

from types import SimpleNamespace

import pytest
from fullspectrum.search.driver import tuning
from fullspectrum.search.driver.tune_internals import worker_starts
from fullspectrum.search.driver.tuning import Decisions
from ray.tune import registry
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from ..conftest import run_tiny

TRIALS, CONCURRENT = 12, 3


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> dict[str, list[int]]:
    """How much Ray Tune held of a whole study's trials whenever one of them ended."""
    sizes: dict[str, list[int]] = {}
    with pytest.MonkeyPatch.context() as patch:

        def forget(controller: TuneController) -> None:
            forget_ended(controller)
            manager = controller._actor_manager
            for name in ("_trials", "_stopped_trials", "_failed_trials", "_trials_to_cache", "_trial_to_actor"):
                sizes.setdefault(name, []).append(len(getattr(controller, name)))
            sizes.setdefault("actors", []).append(len(manager._pending_actors_to_enqueued_actor_tasks))
            sizes.setdefault("callbacks", []).append(len(controller._callbacks._callbacks))
            sizes.setdefault("asked", []).append(len(asked))

        forget_ended = tuning.forget_ended
        patch.setattr(tuning, "forget_ended", forget)
        started, report = tuning.TuneAdapter.started, tuning.TuneAdapter.report

        def told_at_the_start(adapter, trial: Trial) -> None:
            processes[trial.trial_id] = tuning.process_of(trial)
            started(adapter, trial)

        def told_in_a_report(adapter, trial: Trial, result: dict) -> bool:
            sizes.setdefault("known", []).append(processes[trial.trial_id] == (result["hostname"], result["pid"]))
            return report(adapter, trial, result)

        processes: dict[str, tuple[str, int] | None] = {}
        patch.setattr(tuning.TuneAdapter, "started", told_at_the_start)
        patch.setattr(tuning.TuneAdapter, "report", told_in_a_report)
        asked: list[bytes] = []
        ask = registry._internal_kv_get
        patch.setattr(registry, "_internal_kv_get", lambda key: asked.append(key) or ask(key))
        settings = ("warmup.iterations=0", "final.top_k=0", f"search.trials={TRIALS}")
        run_tiny(tmp_path_factory.mktemp("home"), *settings, f"search.max_concurrent={CONCURRENT}")
    return sizes


def test_tune_holds_no_more_trials_than_run_at_once(held):
    assert len(held["_trials"]) == TRIALS
    for name in held.keys() - {"asked", "known"}:
        assert max(held[name]) <= CONCURRENT, name


def test_tune_remembers_no_results_in_order_to_print_them(held):
    assert set(held["callbacks"]) == {1}


def test_the_process_of_a_worker_is_known_before_it_reports(held):
    assert held["known"] and all(held["known"])


def test_tune_asks_once_what_it_trains(held):
    assert held["asked"][0] > 0
    assert held["asked"][-1] == held["asked"][0]
    # As it was, for whoever trains something else in this process.
    assert not {"get", "contains"} & vars(registry._global_registry).keys()


def trials_and_controller(starting: set[str]) -> tuple[list, SimpleNamespace]:
    """Three trials, the first of which runs; the workers of `starting` have begun to start."""
    trials = [SimpleNamespace(name=name, status=Trial.PENDING) for name in "abc"]
    trials[0].status = Trial.RUNNING
    controller = SimpleNamespace(
        get_trials=lambda: trials,
        _trial_to_actor=SimpleNamespace(get=lambda trial: trial.name),
        _actor_manager=SimpleNamespace(is_actor_started=lambda actor: actor in starting),
    )
    return trials, controller


def test_a_free_worker_goes_to_the_first_trial_whose_own_is_not_starting():
    trials, controller = trials_and_controller({"a", "b"})
    assert worker_starts(controller, trials[1])
    assert Decisions(adapter=None).choose_trial_to_run(controller) is trials[2]


@pytest.mark.parametrize(("starting", "chosen"), [(set(), 1), ({"a", "b", "c"}, None)])
def test_a_free_worker_goes_to_the_first_trial_in_order_and_kills_none_that_starts(starting, chosen):
    trials, controller = trials_and_controller(starting)
    assert Decisions(adapter=None).choose_trial_to_run(controller) is (None if chosen is None else trials[chosen])
