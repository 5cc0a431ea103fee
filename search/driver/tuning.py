"""Ray Tune, which spreads the trials: its searcher, scheduler and callback call the dispatcher."""

import gc
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import ray
from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from ...models.errors import InputError
from ..files import storage_failure
from ..names import Metric
from ..process.shutdown import Shutdown
from ..protocol.proposal import Stage
from ..protocol.report import from_json
from ..worker.trial import trainable_of
from .dispatch import Dispatcher
from .opentrial import Worker
from .placement import Placement
from .running import RunningSearch
from .tune_internals import forget_ended, process_of, trainable_kept, worker_starts

Result = TypeVar("Result")

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


class TrialConfig(TypedDict):
    """The configuration of a trial, as Tune sees it."""

    number: int
    attempt: int
    proposal: str
    """The proposal as JSON."""
    stage: Stage
    """The part of the trial that it is, which says what resources it needs."""


class TuneAdapter:
    """The adapter between Tune and the dispatcher: a failing write stops the search, and never a callback of Tune."""

    def __init__(self, dispatcher: Dispatcher, shutdown: Shutdown) -> None:
        self._dispatcher = dispatcher
        self.shutdown = shutdown
        self._failed = False

    def __getstate__(self) -> dict[str, object]:
        """Return nothing: Tune pickles searcher and callbacks for a snapshot that is never restored from."""
        return {}

    def _call(self, method: Callable[..., Result], *arguments: Any) -> Result | None:
        if self._failed:
            return None
        try:
            return method(*arguments)
        except Exception as error:
            reason = str(error) if isinstance(error, InputError) else storage_failure(error)
            if reason is None:
                raise
            self._failed = True
            self.shutdown.request(reason)
            return None

    def propose(self) -> TrialConfig | str | None:
        """Return what a searcher suggests: a configuration, None for later, FINISHED when all is done."""
        proposal = self._call(self._dispatcher.propose)
        if proposal is None:
            # A trial that runs may have to be proposed again; where nothing runs, Tune would wait for minutes.
            return Searcher.FINISHED if self.shutdown.requested or self._dispatcher.idle else None
        return TrialConfig(
            number=proposal.number, attempt=proposal.attempt, proposal=proposal.to_json(), stage=proposal.stage
        )

    def started(self, trial: Trial) -> None:
        """Pass on that a worker took up a trial."""
        process = process_of(trial)
        self._call(self._dispatcher.started, trial.config["number"], Worker(*process) if process else None)

    def report(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Pass on what a worker reported of a trial; return whether the trial goes on."""
        attempt, worker = _attempt(trial), Worker(result["hostname"], result["pid"])
        reports = from_json(result["report"])
        goes_on = self._call(self._dispatcher.report, *attempt, reports, worker, result[Metric.ITERATIONS])
        return bool(goes_on)

    def lost(self, trial: Trial, reason: str) -> None:
        """Pass on that the worker of a trial died."""
        self._call(self._dispatcher.lost, *_attempt(trial), reason)

    def out_of_memory(self, message: str) -> None:
        """Handle that Ray killed a worker because its machine ran out of memory, which ended Tune's run.

        The trial that lost it is the one whose worker the message names. A worker that is none of theirs was just
        starting: then it may be any of the trials that wait for one. The others go on as after an interruption.
        """
        running = self._dispatcher.running
        named = [one for one in running if one["pid"] and re.search(rf"\bpid={one['pid']}\b", message)]
        suspects = named or [one for one in running if one["pid"] is None]
        lost = [(one["trial"], one["attempt"]) for one in suspects] or self._dispatcher.starting
        for number, attempt in lost or [(one["trial"], one["attempt"]) for one in running]:
            self._call(self._dispatcher.lost, number, attempt, "its worker ran out of memory")
        self._call(self._dispatcher.interrupted)


def _attempt(trial: Trial) -> tuple[int, int]:
    """Return the number of a trial, and of its attempt."""
    return trial.config["number"], trial.config["attempt"]


class Proposals(Searcher):
    """A searcher that hands out the ledger's proposals."""

    def __init__(self, adapter: TuneAdapter):
        super().__init__(metric=Metric.ITERATIONS, mode="max")
        self._adapter = adapter

    # Tune's own annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> TrialConfig | str | None:  # type: ignore[override]
        """Return the next proposal, None for later, FINISHED when all is done."""
        return self._adapter.propose()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: ends are results, and lost workers come through `Ends`."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the ledger is durable, and a study is resumed from it, never from Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: see `save`."""


class Decisions(FIFOScheduler):
    """A scheduler that stops the trials that have ended, or that the gate or a rung has stopped."""

    def __init__(self, adapter: TuneAdapter):
        # Ray does not annotate it.
        super().__init__()  # type: ignore[no-untyped-call]
        self._adapter = adapter

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether a trial goes on after what it reported."""
        return TrialScheduler.CONTINUE if self._adapter.report(trial, result) else TrialScheduler.STOP

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """Return the first trial that waits for a worker: it gets the next one that is free.

        Not one whose own worker is just starting, which Tune would kill then: with trials shorter than a worker takes
        to start, all of them would go to the first worker, one after the other.
        """
        waiting = (trial for trial in tune_controller.get_trials() if trial.status == Trial.PENDING)
        return next((trial for trial in waiting if not worker_starts(tune_controller, trial)), None)

    def on_trial_complete(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> None:
        """Let Tune forget the trials that have ended, so that one costs no more when thousands have."""
        forget_ended(tune_controller)


class Ends(TrialProgressCallback):
    """A callback that passes on starts and lost workers, in place of Tune's own, which remembers every trial."""

    def __init__(self, adapter: TuneAdapter):
        super().__init__()
        self._adapter = adapter

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Pass on that a worker took up a trial."""
        self._adapter.started(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Pass on that a worker died."""
        self._adapter.lost(trial, _why(Path(trial.error_file)))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: object
    ) -> None:
        """Do nothing: results go through `Decisions`."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Do nothing: ends are results."""


def _why(report: Path) -> str:
    """Return why a worker died, from the file that Tune writes of its error."""
    report_text = report.read_text(encoding="utf-8", errors="replace") if report.is_file() else ""
    lines = [line.strip() for line in report_text.splitlines() if line.strip()]
    text = " ".join(lines)
    if "low on memory" in text:
        return "its worker ran out of memory"
    if "error raised in its creation task" in text:
        return f"its worker did not start: {lines[-1]}"
    if detail := re.search(r"Worker exit detail: (.+?\.)(\s|$)", text):
        return f"its worker died: {detail[1]}"
    return "its worker died"


class _Overdue(tune.Stopper):
    """A stopper that ends the run when workers that were asked to leave have not left in time."""

    def __init__(self, shutdown: Shutdown):
        self._shutdown = shutdown

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._shutdown.overdue


def run_trials(search: RunningSearch, dispatcher: Dispatcher, placement: Placement) -> None:
    """Run all that the dispatcher proposes; return when that is done, or when the shutdown is due."""
    # The dispatcher reports failed trials better than Tune prints them.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    adapter = TuneAdapter(dispatcher, search.shutdown)
    while True:
        try:
            _run(search, adapter, placement)
            return
        except RuntimeError as error:
            # Ray Tune handles workers that die, but not those that Ray kills because the memory runs out.
            if not isinstance(error.__cause__, ray.exceptions.OutOfMemoryError):
                raise
            adapter.out_of_memory(str(error.__cause__))
        # The actors of the run that is over hold their resources until they are collected.
        gc.collect()


def _run(search: RunningSearch, adapter: TuneAdapter, placement: Placement) -> None:
    study, workspace = search.study, search.folder.path / "tune"
    trainable = trainable_of(study, search.shared, search.workbench.sources, search.folder)
    # With scoring apart as many trials may be scored, or wait for it, as train.
    stages = 1 if study.resources.scoring_cpus is None else 2
    tuner = tune.Tuner(
        tune.with_resources(trainable, lambda config: placement.of(config["stage"])),
        tune_config=tune.TuneConfig(
            search_alg=Proposals(adapter),
            scheduler=Decisions(adapter),
            num_samples=-1,
            # So many may wait for a worker at once, too, so that an autoscaler sees all that is asked for.
            max_concurrent_trials=stages * study.search.max_concurrent,
            reuse_actors=True,
            # By default it is the whole proposal.
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(workspace.resolve()),
            stop=_Overdue(adapter.shutdown),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[Ends(adapter)],
            verbose=0,
        ),
    )
    try:
        with trainable_kept():
            tuner.fit()
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
