"""Runs one study from its settings to its leaderboard; read it top to bottom as the data flows."""

import contextlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from rich.console import Console

from ..clusters.connection import connect
from ..models.data import load
from ..models.errors import InputError
from ..models.networks import build, initial_state
from ..models.trainable import check_trainable
from ..models.weights import save_state
from ..spectral.objectives import OBJECTIVES
from .config.study import Study
from .driver.dispatch import Dispatcher
from .driver.tuning import SETTINGS, run_trials
from .files import Home, StudyFolder, broken, write_json
from .final.entries import checks, contestants
from .final.standings import record_standings
from .final.training import contenders, train_all
from .guards.unpruned import warn_unpruned
from .process.heartbeat import Board
from .process.shutdown import Drain, drained
from .protocol.outcome import Outcome
from .record.delivery import Delivery, delivered
from .record.experiment import Destination
from .record.recorder import Recorder
from .report.leaderboard import Row, leaderboard, split_table
from .report.listing import listing
from .report.plots import plot_study
from .report.verdicts import against_baselines, trust
from .sampling.distribution import MaskDistribution
from .screen.progress import Progress
from .store.ledger import FinalRecord, Ledger, TrialRecord
from .store.lock import study_lock
from .store.storage import open_storage
from .worker.device import check_resources
from .worker.trial import MaskTrial
from .worker.workbench import Workbench


@dataclass(frozen=True)
class StudyResult:
    """What a study came to."""

    study: Study
    folder: StudyFolder
    trials: list[TrialRecord]
    finals: list[FinalRecord]
    rows: list[Row]
    remaining: int
    """Trials still to be run; above 0 where the study was interrupted."""
    verdicts: list[str]
    """Sentences on whether the objective was worth trusting, and whether the best mask beats a random one."""
    stopped: str | None = None
    """Why the study stopped before its end, where it did: Ctrl-C, the failure budget, a full disk."""
    signal: int | None = None
    """The signal that stopped it, if one did."""
    pareto: list[str] = field(default_factory=list)
    """Labels of the trials that no other betters in every objective, where there are several."""

    @property
    def trials_by_label(self) -> dict[str, TrialRecord]:
        """The trials by the names that the leaderboard gives them."""
        return {trial.label: trial for trial in self.trials}

    @property
    def failure(self) -> str | None:
        """A sentence where not one trial, or not one full training, came to a result; None otherwise."""
        trials = [trial for trial in self.trials if trial.outcome]
        for what, ends, bad in (
            ("trial", trials, (Outcome.FAILED, Outcome.REJECTED)),
            ("full training", self.finals, (Outcome.FAILED,)),
        ):
            if ends and all(end.outcome in bad for end in ends):
                reasons = Counter(end.result.get("reason", "the worker died") for end in ends)
                return f"not one {what} came to a result; the commonest reason: {reasons.most_common(1)[0][0]}"
        return None


def run_study(
    study: Study, home: Home, console: Console, address: str | None = None, resume: bool = False
) -> StudyResult:
    """Runs `study` (of a single sparsity) under `home`, on this machine or on the Ray cluster at `address`.

    Raises InputError for settings that cannot work together, where the study has been run already and `resume` is
    not asked for, where another process runs it, and where part of what it knew is lost; ClusterError where nothing
    answers at `address`.
    """
    os.environ.update(SETTINGS)
    folder = home.create().study(study.id)
    data = load(study.data, study.seed)
    model = build(study.model, data.task, study.seed)
    check_trainable(model, data, study.model)
    warn_unpruned(model)
    workbench = Workbench(study, model, data)
    # A budget below the floors is found here and not in every trial.
    workbench.counts(MaskDistribution("random", 0.0, 0, {}))
    with study_lock(folder, study) as lock:
        if lock.stale:
            console.print(lock.stale, highlight=False, markup=False, soft_wrap=True)
        ledger = Ledger(study, open_storage(study, folder.journal))
        _check_begun(folder, ledger, resume)
        _check_origins(folder, workbench, begun=ledger.proposed > 0)
        ledger.take_over(list(workbench.setting.weights), lock.check)
        with connect(address):
            check_resources(study.resources, address)
            save_state(folder.initial_weights, initial_state(model))
            write_json(folder.settings, study.settings())
            # A database URL may hold a password.
            folder.settings.chmod(0o600)
            network = listing(model, study.model, data.task)
            with drained(folder.leave, study.faults.grace_seconds) as drain:
                ledger.hurried_by(lambda: drain.overdue)
                return _run(study, home, folder, console, workbench, ledger, network, drain)


def _check_begun(folder: StudyFolder, ledger: Ledger, resume: bool) -> None:
    """Raises InputError where the study has been run and is not to be resumed, and where trials of it are lost."""
    proposed = ledger.proposed
    if proposed and not resume:
        raise InputError(
            f"this study ({folder.path.name}) has been run already: {proposed} trials under {str(folder.path)!r}; "
            "go on with --resume, or make another one, for example with --set seed=1"
        )
    last = max((int(path.name) for path in (folder.path / "trials").glob("[0-9]*")), default=-1)
    if last >= proposed:
        raise InputError(
            f"the ledger of study {folder.path.name} holds {proposed} trials, but there are files of trial "
            f"{last} under {str(folder.path)!r}: part of it is lost; bring it back, or remove that folder to begin anew"
        )


def _check_origins(folder: StudyFolder, workbench: Workbench, begun: bool) -> None:
    """Keeps on file what the sources are made from. Raises InputError where a study has `begun` with something else."""
    file = folder.path / "sources.json"
    origins = {name: source.origin() for name, source in workbench.sources.items()}
    before = json.loads(file.read_text()) if begun and file.exists() else origins
    for name, origin in origins.items():
        if origin != before.get(name, origin):
            raise InputError(
                f"source {name} is not what this study ({folder.path.name}) began with: {_words(before[name])} then, "
                f"{_words(origin)} now; bring the old one back, or make another study, for example with --set seed=1"
            )
    write_json(file, origins)


def _words(origin: dict[str, str]) -> str:
    return ", ".join(f"{key} {value[:12]}" for key, value in origin.items())


@contextlib.contextmanager
def _recording(
    study: Study, home: Home, folder: StudyFolder, network: dict[str, Any], ledger: Ledger, drain: Drain
) -> Iterator[tuple[Recorder, Delivery]]:
    """The record of the study, opened; whatever ends the study, its run is closed and what can be is delivered."""
    tags = {"fullspectrum.study": study.id, "mlflow.note.content": f"{study.model} on {study.data}"}
    experiment = f"{study.model} {study.data} {study.sparsity:g} {study.id}".replace("/", "_")
    destination = Destination.of(home, study.tracking.mlflow, experiment, tags, artifacts=study.id)
    with delivered(folder.spool, destination, ledger.record_runs, left=lambda: drain.left) as delivery:
        recorder = Recorder(study, folder, delivery.spool)
        try:
            recorder.start_study(network)
            yield recorder, delivery
        except BaseException as error:
            with contextlib.suppress(OSError):
                recorder.end_study({}, (), "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise


def _run(
    study: Study,
    home: Home,
    folder: StudyFolder,
    console: Console,
    workbench: Workbench,
    ledger: Ledger,
    network: dict[str, Any],
    drain: Drain,
) -> StudyResult:
    ended = Counter(trial.outcome for trial in ledger.trials() if trial.outcome)
    with (
        _recording(study, home, folder, network, ledger, drain) as (recorder, delivery),
        Progress(console, study.search.trials, OBJECTIVES[study.score].label, ended) as progress,
    ):
        dispatcher = Dispatcher(study, folder, ledger, recorder, progress, drain)
        phase = ["trials"]

        def snapshot() -> dict[str, Any]:
            spool = {"depth": delivery.depth, "problem": delivery.problem}
            return {"phase": phase[0], "ended": dispatcher.ended, "running": dispatcher.running, "spool": spool}

        with Board(folder.board, snapshot):
            # Put into the object store once; every worker maps the same memory.
            shared = ray.put(workbench.data), ray.put(initial_state(workbench.model))
            with _breakage_told(drain):
                _search(study, workbench, dispatcher, drain, folder, *shared)
                if not drain.asked and not ledger.remaining:
                    phase[0] = "full training"
                    _train(study, workbench, ledger, recorder, progress, drain, folder, *shared)
            if not drain.asked:
                phase[0] = "done"
        return _close(study, folder, ledger, recorder, drain, len(workbench.data.splits["test"]))


@contextlib.contextmanager
def _breakage_told(drain: Drain) -> Iterator[None]:
    """A file system that cannot be written to stops the study, which can be resumed when that is mended."""
    try:
        yield
    except Exception as error:
        if not (reason := broken(error)):
            raise
        drain.ask(reason)


def _search(
    study: Study,
    workbench: Workbench,
    dispatcher: Dispatcher,
    drain: Drain,
    folder: StudyFolder,
    data: ray.ObjectRef,
    state: ray.ObjectRef,
) -> None:
    """The trials; after an interruption a fresh Ray Tune run goes on from the ledger."""
    dispatcher.take_up()
    trainable = tune.with_parameters(
        MaskTrial,
        study=study,
        data=data,
        state=state,
        sources=workbench.sources,
        # Workers have working directories of their own.
        folder=StudyFolder(folder.path.resolve()),
    )
    run_trials(study, trainable, dispatcher, drain, folder.path / "tune")
    if dispatcher.done:
        # What trials saved that trained on while it was decided that they had been stopped.
        for left in (folder.path / "checkpoints").glob("trial-*"):
            shutil.rmtree(left, ignore_errors=True)


def _train(
    study: Study,
    workbench: Workbench,
    ledger: Ledger,
    recorder: Recorder,
    progress: Progress,
    drain: Drain,
    folder: StudyFolder,
    data: ray.ObjectRef,
    state: ray.ObjectRef,
) -> None:
    """Full training of the best masks and the baselines, then of the winner's checks."""
    best = contenders(study, ledger.trials())
    for entries in (
        lambda: contestants(study, best, workbench, folder),
        lambda: checks(workbench, data, state, ledger, folder),
    ):
        if not drain.asked:
            train_all(study, entries(), data, state, ledger, recorder, progress, folder, drain)
    if not drain.asked:
        record_standings(study, best, workbench, folder, recorder, drain)


def _close(
    study: Study, folder: StudyFolder, ledger: Ledger, recorder: Recorder, drain: Drain, test_images: int
) -> StudyResult:
    """Tables, plot, verdicts, and the end of the record."""
    trials, rows = ledger.trials(), leaderboard(ledger)
    metrics, verdict = trust(trials, study.score)
    verdicts = [*against_baselines(rows, test_images), verdict]
    pareto = [f"trial {number}" for number in ledger.pareto()]
    result = StudyResult(
        study, folder, trials, ledger.finals(), rows, ledger.remaining, verdicts, drain.reason, drain.signal, pareto
    )
    finished = not (result.remaining or result.stopped)
    with _breakage_told(drain):
        files = _write_report(study, folder, trials, rows, pareto)
        status = "KILLED" if result.signal else "FAILED" if result.failure or not finished else "FINISHED"
        # What a study comes to is told once, at its end: of the best mask its scores and accuracies.
        best = {name: value for name, value in rows[0].values().items() if isinstance(value, float)} if rows else {}
        recorder.end_study(metrics | best if finished else {}, files, status, verdicts, pareto)
    # A signal that came meanwhile interrupted nothing; a file system that cannot be written to did.
    return result if drain.signal else replace(result, stopped=drain.reason)


def _write_report(
    study: Study, folder: StudyFolder, trials: list[TrialRecord], rows: list[Row], pareto: list[str]
) -> list[Path]:
    """The files of tables and plots."""
    files = []
    if rows:
        files = [folder.report / "leaderboard.json"]
        write_json(files[0], split_table(rows))
    if pareto:
        files.append(folder.report / "pareto.json")
        write_json(files[-1], split_table([row for row in rows if row.label in pareto]))
    if any("accuracy/val" in trial.result for trial in trials):
        files.append(folder.report / "study.png")
        title = f"{study.model} on {study.data}, sparsity {study.sparsity:.4g}, pruned before training"
        plot_study(trials, rows, study.score, title, files[-1])
    return files
