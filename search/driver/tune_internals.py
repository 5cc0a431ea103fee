"""What is asked of the inside of Ray Tune, where it has no public name: of another version of Tune, less is asked."""

import contextlib
from collections.abc import Iterator

from ray.tune import registry
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


def worker_starts(controller: TuneController, trial: Trial) -> bool:
    """Whether the worker that was asked for on behalf of a pending trial has been given its resources already."""
    actor = getattr(controller, "_trial_to_actor", {}).get(trial)
    return actor is not None and controller._actor_manager.is_actor_started(actor)


def forget_ended(controller: TuneController) -> None:
    """Lets a run of Tune forget its trials that have ended.

    It holds some 30 KB of each, looks through all of them at every step, and writes all into a snapshot at its end;
    the ledger knows of them what there is to know. To be called while another trial is ending: that one stays.
    """
    trials = controller.get_trials()
    trials[:] = [trial for trial in trials if not trial.is_finished()]
    for kept in ("_stopped_trials", "_failed_trials", "_trials_to_cache"):
        getattr(controller, kept, set()).clear()
    # Workers that were asked for and never started, because another one became free.
    actors = getattr(controller, "_actor_manager", None)
    forsaken = getattr(actors, "_pending_actors_to_enqueued_actor_tasks", {})
    for actor in forsaken.keys() - set(actors.pending_actors if forsaken else ()):
        del forsaken[actor]


@contextlib.contextmanager
def trainable_kept() -> Iterator[None]:
    """Lets a run of Tune ask Ray's head for what it trains once, and not six times a trial."""
    asked = getattr(registry, "_global_registry", None)
    get, contains = getattr(asked, "get", None), getattr(asked, "contains", None)
    if get is None or contains is None:
        yield
        return
    known: dict[tuple, object] = {}

    def get_once(*key: str) -> object:
        if key not in known:
            known[key] = get(*key)
        return known[key]

    asked.get, asked.contains = get_once, lambda *key: key in known or contains(*key)
    try:
        yield
    finally:
        del asked.get, asked.contains
