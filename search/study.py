"""Runs one study from its settings to its leaderboard; read it top to bottom as the data flows."""

import os
import shutil
from collections.abc import Callable
from functools import partial

from rich.console import Console

from ..clusters.connection import connect
from .config.secrets import settings_without_secrets
from .config.study import Study
from .driver.dispatch import Dispatcher
from .driver.nodes import check_nodes
from .driver.placement import Placement
from .driver.pretraining import make_pretrained_weights
from .driver.running import RunningSearch
from .driver.tuning import SETTINGS, run_trials
from .files import Home
from .final.phase import train_finalists
from .process.heartbeat import Heartbeat, Snapshot, SpoolState
from .process.shutdown import shutdown_on_signals, stop_on_storage_failure
from .protocol.events import Listener, Listeners
from .record.recording import destination_of, recording
from .report.summary import StudyResult, summarise
from .screen.console import print_line
from .screen.progress import Progress
from .store.opening import opened
from .worker.device import awaited, check_resources
from .worker.preparation import prepare


def run_study(
    study: Study,
    home: Home,
    console: Console,
    address: str | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> StudyResult:
    """Run `study` (of a single sparsity) under `home`, on this machine or on the Ray cluster at `address`.

    `listener` hears the same events as recorder and progress. Raises InputError for settings that cannot work together,
    where the study has been run already and `resume` is not asked for, where another process runs it, and where part of
    what it knew is lost; ClusterError where nothing answers at `address`.
    """
    os.environ.update(SETTINGS)
    destination = destination_of(study, home)
    folder = home.create().study(study.id)
    workbench = prepare(study, folder)
    notice = partial(print_line, console)
    with opened(study, folder, workbench.origins, resume, notice) as ledger, connect(address) as here:
        check_resources(study.resources, here)
        if not here:
            check_nodes(study, folder)
        workbench.save_initial_weights(folder.initial_weights)
        folder.write_settings(settings_without_secrets(study.settings()))
        with (
            shutdown_on_signals(folder.leave, study.faults.grace_seconds) as shutdown,
            recording(study, destination, folder, ledger.record_runs, lambda: shutdown.seconds_left) as record,
            Progress(console, study.search.trials, workbench.objective.label, ledger.outcomes) as progress,
        ):
            recorder, delivery = record
            ledger.give_up_when(lambda: shutdown.overdue)
            listeners = Listeners(recorder, progress, listener or Listener())
            search = RunningSearch.open(workbench, folder, ledger, listeners, shutdown)
            listeners.study_started(workbench.network)
            if not here and (line := awaited(study.resources)):
                listeners.noticed(line)
            _search(search, lambda: delivery.state)
            return summarise(search)


def _search(search: RunningSearch, spool: Callable[[], SpoolState]) -> None:
    """Pretrain, run the trials, then the full trainings, while `status` can see how far they are."""
    placement = Placement(search.study.resources)
    dispatcher, shutdown, phase = Dispatcher(search, placement.scoring_slots), search.shutdown, "pretraining"

    def snapshot() -> Snapshot:
        return Snapshot(phase=phase, ended=dispatcher.ended, running=dispatcher.running, spool=spool())

    with Heartbeat(search.folder.heartbeat, snapshot):
        with stop_on_storage_failure(shutdown):
            make_pretrained_weights(search)
            phase = "trials"
            if not shutdown.requested:
                _run_trials(search, dispatcher, placement)
            if not shutdown.requested and not search.ledger.remaining:
                phase = "full training"
                train_finalists(search)
        if not shutdown.requested:
            phase = "done"


def _run_trials(search: RunningSearch, dispatcher: Dispatcher, placement: Placement) -> None:
    """Run the trials; after an interruption a fresh Ray Tune run goes on from the ledger."""
    dispatcher.take_up()
    run_trials(search, dispatcher, placement)
    if dispatcher.done:
        # What trials saved that trained on while it was decided that they had been stopped.
        for left in (search.folder.path / "checkpoints").glob("trial-*"):
            shutil.rmtree(left, ignore_errors=True)
