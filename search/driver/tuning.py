"""Ray Tune, which spreads the trials: its searcher, scheduler and callback, each a few lines to the dispatcher."""

import gc
import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ...models.errors import InputError
from ..config.study import Study
from ..files import broken
from ..process.link import lifeline
from ..process.shutdown import Drain
from .dispatch import Dispatcher
from .tune_internals import forget_ended, trainable_kept, worker_starts

#: Tune's own loggers and snapshots cost more than a trial; the ledger and the record are ours, and so are the signals.
SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}


class Desk:
    """Where Tune and the dispatcher meet: what cannot be written stops the search, and never a callback of Tune."""

    def __init__(self, dispatcher: Dispatcher, drain: Drain):
        self._dispatcher = dispatcher
        self.drain = drain
        self._broken = False

    def __getstate__(self) -> dict:
        """Nothing: Tune pickles searcher and callbacks for a snapshot that is never restored from."""
        return {}

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        if self._broken:
            return None
        try:
            return call(*arguments)
        except Exception as error:
            reason = str(error) if isinstance(error, InputError) else broken(error)
            if reason is None:
                raise
            self._broken = True
            self.drain.ask(reason)
            return None

    def propose(self) -> dict[str, Any] | str | None:
        """What a searcher suggests: a configuration, None for later, FINISHED when all is done."""
        proposal = self._ask(self._dispatcher.propose)
        if proposal is None:
            # A trial that runs may have to be proposed again; where nothing runs, Tune would wait for minutes.
            return Searcher.FINISHED if self.drain.asked or self._dispatcher.idle else None
        return {"number": proposal["number"], "attempt": proposal["attempt"], "proposal": json.dumps(proposal)}

    def started(self, trial: Trial) -> None:
        """A worker took up a trial."""
        self._ask(self._dispatcher.started, trial.config["number"])

    def report(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Passes on what a trial reported; returns whether it goes on."""
        attempt = trial.config["number"], trial.config["attempt"]
        report = json.loads(result["report"])
        if "values" in report:
            where = result["hostname"], result["pid"]
            goes_on = bool(self._ask(self._dispatcher.result, *attempt, report["values"], *where))
            if self._dispatcher.ended:
                lifeline().progressed()
            return goes_on
        if "broken" in report:
            self.drain.ask(report["broken"])
        self._ask(self._dispatcher.left, *attempt)
        return False

    def lost(self, trial: Trial, reason: str) -> None:
        """The worker of a trial died."""
        self._ask(self._dispatcher.lost, trial.config["number"], trial.config["attempt"], reason)

    def out_of_memory(self, message: str) -> None:
        """Ray killed a worker because its machine ran out of memory, and Tune's run ended by it.

        The trial that lost it is the one that the message names; else it may be any of those of which nobody knows the
        process yet, as they have not reported, or, without such, any. The others go on as after an interruption.
        """
        running = self._dispatcher.running
        named = [one for one in running if one["pid"] and re.search(rf"\bpid={one['pid']}\b", message)]
        for one in named or [one for one in running if one["pid"] is None] or running:
            self._ask(self._dispatcher.lost, one["trial"], one["attempt"], "its worker ran out of memory")
        self._ask(self._dispatcher.interrupted)


class Proposals(Searcher):
    """Hands out the ledger's proposals."""

    def __init__(self, desk: Desk):
        super().__init__(metric="training/iterations", mode="max")
        self._desk = desk

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next proposal, None for later, FINISHED when all is done."""
        return self._desk.propose()

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """Nothing: ends are results, and lost workers come through `Ends`."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is durable, and a study is resumed from it, never from Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""


class Decisions(FIFOScheduler):
    """Stops the trials that have ended, or that the gate or a rung has stopped."""

    def __init__(self, desk: Desk):
        super().__init__()
        self._desk = desk

    def on_trial_result(self, tune_controller, trial: Trial, result: dict[str, Any]) -> str:
        """Whether a trial goes on after what it reported."""
        return TrialScheduler.CONTINUE if self._desk.report(trial, result) else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller) -> Trial | None:
        """The first trial that waits for a worker: it gets the next one that is free.

        Not one whose own worker is just starting, which Tune would kill then: with trials shorter than a worker takes
        to start, all of them would go to the first worker, one after the other.
        """
        waiting = (trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING)
        return next((trial for trial in waiting if not worker_starts(tune_controller, trial)), None)

    def on_trial_complete(self, tune_controller, trial: Trial, result: dict[str, Any]) -> None:
        """What a trial costs stays what it was when thousands have ended."""
        forget_ended(tune_controller)


class Ends(TrialProgressCallback):
    """Passes on starts and lost workers, in place of Tune's own, which remembers every trial in order to print it."""

    def __init__(self, desk: Desk):
        super().__init__()
        self._desk = desk

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """A worker took up a trial."""
        self._desk.started(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """A worker died."""
        self._desk.lost(trial, _why(Path(trial.error_file)))

    def on_trial_result(self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info) -> None:
        """Nothing: results go through `Decisions`."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info) -> None:
        """Nothing: ends are results."""


def _why(report: Path) -> str:
    """Why a worker died, from the file in which Tune keeps what it was told of that."""
    lines = [line.strip() for line in report.read_text().splitlines() if line.strip()] if report.is_file() else []
    text = " ".join(lines)
    if "low on memory" in text:
        return "its worker ran out of memory"
    if "error raised in its creation task" in text:
        return f"its worker did not start: {lines[-1]}"
    if detail := re.search(r"Worker exit detail: (.+?\.)(\s|$)", text):
        return f"its worker died: {detail[1]}"
    return "its worker died"


class _Overdue(tune.Stopper):
    """Ends the run when those who were asked to leave have not left in time."""

    def __init__(self, drain: Drain):
        self._drain = drain

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._drain.overdue


def run_trials(
    study: Study, trainable: type[tune.Trainable], dispatcher: Dispatcher, drain: Drain, workspace: Path
) -> None:
    """Runs all that the dispatcher proposes, and returns when that is done, or when the drain is."""
    # What it says of trials that failed, and of its run, the dispatcher says better.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    desk = Desk(dispatcher, drain)
    while True:
        try:
            _run(study, trainable, desk, workspace)
            return
        except RuntimeError as error:
            # Ray Tune knows of workers that die, but not of those that Ray kills because the memory runs out.
            if not isinstance(error.__cause__, ray.exceptions.OutOfMemoryError):
                raise
            desk.out_of_memory(str(error.__cause__))
        # The actors of the run that is over hold their resources until they are collected.
        gc.collect()


def _run(study: Study, trainable: type[tune.Trainable], desk: Desk, workspace: Path) -> None:
    resources = {"cpu": study.resources.cpus, "gpu": study.resources.gpus}
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=Proposals(desk),
            scheduler=Decisions(desk),
            num_samples=-1,
            max_concurrent_trials=study.search.max_concurrent,
            reuse_actors=True,
            # By default it is the whole proposal.
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(workspace.resolve()),
            stop=_Overdue(desk.drain),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[Ends(desk)],
            verbose=0,
        ),
    )
    try:
        with trainable_kept():
            tuner.fit()
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
