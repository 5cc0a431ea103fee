"""The use of private names of Ray and of Ray Tune; whatever another version lacks is left out."""

import contextlib
import functools
from collections.abc import Iterator

import ray
from ray._private import state as _state
from ray.tune import registry
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial


def worker_starts(controller: TuneController, trial: Trial) -> bool:
    """Return whether the worker that was requested for a pending trial has its resources already."""
    actor = getattr(controller, "_trial_to_actor", {}).get(trial)
    return actor is not None and controller._actor_manager.is_actor_started(actor)


def process_of(trial: Trial) -> tuple[str, int] | None:
    """Return the machine's name and the process id of the worker that takes up a trial; None where they are not known.

    Ray's head is asked: a worker says so itself only when it reports, and may run out of memory before.
    """
    actor = getattr(trial.temporary_state, "ray_actor", None)
    if actor is None:
        return None
    try:
        return _process_of_actor(actor._actor_id.hex())
    except Exception:  # noqa: BLE001 - of another version of Ray, or of Ray's client
        return None


@functools.lru_cache(maxsize=4096)
def _process_of_actor(actor_id: str) -> tuple[str, int]:
    # Once for each actor, which runs many trials: Ray's head knows of all that ever were.
    found = _state.state.actor_table(actor_id)
    hosts = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
    return hosts[found["Address"]["NodeID"]], int(found["Pid"])


def forget_ended(controller: TuneController) -> None:
    """Let a run of Tune forget its trials that have ended.

    It holds some 30 KB of each, looks through all of them at every step, and writes all into a snapshot at its end;
    the ledger holds all of that. Call it while another trial is ending: that one stays.
    """
    trials = controller.get_trials()
    trials[:] = [trial for trial in trials if not trial.is_finished()]
    for kept in ("_stopped_trials", "_failed_trials", "_trials_to_cache"):
        getattr(controller, kept, set()).clear()
    # Workers that were requested and never started, because another one became free.
    actors = getattr(controller, "_actor_manager", None)
    forsaken = getattr(actors, "_pending_actors_to_enqueued_actor_tasks", {})
    for actor in forsaken.keys() - set(getattr(actors, "pending_actors", forsaken)):
        del forsaken[actor]


@contextlib.contextmanager
def trainable_kept() -> Iterator[None]:
    """Let a run of Tune load what it trains from Ray's head once, and not six times a trial."""
    asked = getattr(registry, "_global_registry", None)
    get, contains = getattr(asked, "get", None), getattr(asked, "contains", None)
    if asked is None or get is None or contains is None:
        yield
        return
    known: dict[tuple[str, ...], object] = {}

    def get_once(*key: str) -> object:
        if key not in known:
            known[key] = get(*key)
        return known[key]

    asked.get, asked.contains = get_once, lambda *key: key in known or contains(*key)
    try:
        yield
    finally:
        del asked.get, asked.contains
