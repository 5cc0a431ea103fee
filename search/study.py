"""Runs one study from its settings to its leaderboard; read it top to bottom as the data flows."""

import os
from collections.abc import Callable
from dataclasses import replace
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
from .files import Home, sqlite_file
from .final.phase import train_finalists
from .process.heartbeat import Heartbeat, Snapshot, SpoolState
from .process.shutdown import shutdown_on_signals, stop_on_storage_failure
from .protocol.events import Listener, Listeners
from .record.recording import destination_of, recording
from .remote.backup import Backup
from .remote.mirror import mirror_of
from .remote.scratch import begin
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
    folder = home.create().study(study.id, study.tracking.files)
    mirror = mirror_of(folder)
    mirror.check(wait=resume)
    workbench = prepare(study, folder)
    notice = partial(print_line, console)
    with opened(study, folder, workbench.origins, resume, notice) as ledger, connect(address) as here:
        check_resources(study.resources, here)
        if not here:
            check_nodes(study, folder)
        workbench.save_initial_weights(folder.initial_weights)
        folder.write_settings(settings_without_secrets(study.settings()))
        begin(folder)
        if folder.files and (study.tracking.storage is None or sqlite_file(study.tracking.storage)):
            notice(
                "what is known of the trials lies on this machine alone: with a server as tracking.storage the study "
                "survives its loss"
            )
        with (
            shutdown_on_signals(mirror.marker(folder.leave), study.faults.grace_seconds) as shutdown,
            recording(study, destination, folder, ledger.record_runs, lambda: shutdown.seconds_left) as record,
            Progress(console, study.search.trials, workbench.objective.label, ledger.outcomes) as progress,
            Backup(folder) as backup,
        ):
            recorder, delivery = record
            ledger.give_up_when(lambda: shutdown.overdue)
            mirror.give_up_when(lambda: shutdown.overdue)
            listeners = Listeners(recorder, progress, listener or Listener())
            search = RunningSearch.open(workbench, folder, ledger, listeners, shutdown)
            listeners.study_started(workbench.network)
            if not here and (line := awaited(study.resources)):
                listeners.noticed(line)
            _search(search, lambda: delivery.state)
            result = summarise(search)
            with stop_on_storage_failure(shutdown):
                backup.finish()
            # A signal that came meanwhile interrupted nothing; a store that stays away did.
            return result if shutdown.signal else replace(result, stopped=shutdown.reason)


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
        # What trials saved that trained on while it was decided that they had been stopped, or machines that computed
        # scores which another one had before.
        mirror, folder = mirror_of(search.folder), search.folder.all_checkpoints
        for name in mirror.names(folder):
            if name.startswith(("trial-", "scores-")):
                mirror.remove(folder / name)
