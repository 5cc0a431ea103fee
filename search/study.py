"""Runs one study from its settings to its leaderboard; read it top to bottom as the data flows."""

import contextlib
import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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
from .candidates import Workbench
from .config import Study
from .delivery import delivered
from .device import check_resources
from .entries import checks, contestants
from .events import TrialEvents
from .files import Home, StudyFolder, write_json
from .final import contenders, train_all
from .gate import Gate, GatedASHA
from .leaderboard import Row, against_baselines, leaderboard, split_table, trust
from .ledger import Ledger, TrialRecord, open_storage
from .listing import listing
from .outcome import Outcome
from .plots import plot_study
from .progress import Progress
from .record import Recorder
from .searcher import MaskSearcher
from .space import MaskDistribution
from .standings import record_standings
from .trial import MaskTrial
from .unpruned import warn_unpruned

# Tune's own loggers and snapshots cost more than a trial; the ledger and the record are ours. A metric that is not
# there yet (accuracy at the spectral score) is no error.
_TUNE_SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}


@dataclass(frozen=True)
class StudyResult:
    """What a study came to."""

    study: Study
    folder: StudyFolder
    trials: list[TrialRecord]
    rows: list[Row]
    remaining: int
    """Trials still to be run; above 0 where the study was interrupted."""
    verdicts: list[str]
    """Sentences on whether the objective was worth trusting, and whether the best mask beats a random one."""

    @property
    def trials_by_label(self) -> dict[str, TrialRecord]:
        """The trials by the names that the leaderboard gives them."""
        return {trial.label: trial for trial in self.trials}

    @property
    def failure(self) -> str | None:
        """The commonest reason where not one trial came to a result; None otherwise."""
        ended = [trial for trial in self.trials if trial.outcome]
        if not ended or any(trial.outcome not in (Outcome.FAILED, Outcome.REJECTED) for trial in ended):
            return None
        reasons = Counter(trial.result.get("reason", "the worker died") for trial in ended)
        return reasons.most_common(1)[0][0]


def run_study(
    study: Study, home: Home, console: Console, address: str | None = None, resume: bool = False
) -> StudyResult:
    """Runs `study` (of a single sparsity) under `home`, on this machine or on the Ray cluster at `address`.

    Raises InputError for settings that cannot work together, and where the study has been run already and `resume` is
    not asked for; ClusterError where nothing answers at `address`.
    """
    os.environ.update(_TUNE_SETTINGS)
    folder = home.create().study(study.id)
    data = load(study.data, study.seed)
    model = build(study.model, data.task, study.seed)
    check_trainable(model, data, study.model)
    warn_unpruned(model)
    workbench = Workbench(study, model, data)
    # A budget below the floors is found here and not in every trial.
    workbench.counts(MaskDistribution("random", 0.0, 0, {}))
    ledger = Ledger(study, open_storage(study, folder.journal), list(workbench.setting.weights))
    if ledger.proposed and not resume:
        raise InputError(
            f"this study ({study.id}) has been run already: {ledger.proposed} trials under {str(folder.path)!r}; "
            "go on with --resume, or make another one, for example with --set seed=1"
        )
    _check_origins(folder, workbench, begun=ledger.proposed > 0)
    ledger.take_over()
    with connect(address):
        check_resources(study.resources, address)
        save_state(folder.initial_weights, initial_state(model))
        write_json(folder.settings, study.settings())
        # A database URL may hold a password.
        folder.settings.chmod(0o600)
        with _recording(study, home, folder, listing(model, study.model, data.task)) as recorder:
            ended = Counter(trial.outcome for trial in ledger.trials() if trial.outcome)
            with Progress(console, study.search.trials, OBJECTIVES[study.objective].label, ended) as progress:
                _search(study, workbench, ledger, recorder, progress, folder)
            return _close(study, folder, ledger, recorder, len(data.splits["test"]))


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
def _recording(study: Study, home: Home, folder: StudyFolder, network: dict[str, Any]) -> Iterator[Recorder]:
    """The record of the study, opened; whatever ends the study, its run is closed and what can be is delivered."""
    tags = {"fullspectrum.study": study.id, "mlflow.note.content": f"{study.model} on {study.data}"}
    experiment = f"{study.model} {study.data} {study.sparsity:g} {study.id}".replace("/", "_")
    remote = study.tracking.mlflow
    artifacts = None if remote else (home.artifacts / study.id).resolve().as_uri()
    with delivered(
        folder.spool, remote or home.tracking_uri, experiment, tags, artifacts, later=" until --resume delivers it"
    ) as spool:
        recorder = Recorder(study, folder, spool)
        try:
            recorder.start_study(network)
            yield recorder
        except BaseException as error:
            recorder.end_study({}, (), "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise


def _search(
    study: Study, workbench: Workbench, ledger: Ledger, recorder: Recorder, progress: Progress, folder: StudyFolder
) -> None:
    """The trials, then, where all of them have ended, full training of the best."""
    # Put into the object store once; every worker maps the same memory.
    shared = ray.put(workbench.data), ray.put(initial_state(workbench.model))
    _run_trials(study, workbench.sources, ledger, recorder, progress, folder, *shared)
    if not ledger.remaining:
        best = contenders(study, ledger.trials())
        train_all(study, contestants(study, best, workbench, folder), *shared, ledger, recorder, progress)
        train_all(study, checks(workbench, *shared, ledger, folder), *shared, ledger, recorder, progress)
        record_standings(study, best, workbench, folder, recorder)


def _run_trials(study, sources, ledger, recorder, progress, folder, data: ray.ObjectRef, state: ray.ObjectRef) -> None:
    """The Ray Tune run; after an interruption a fresh one goes on from the ledger."""
    if not ledger.remaining:
        return
    gate = Gate(study.gate.quantile, study.gate.control, study.seed)
    for trial in ledger.trials():
        if trial.result.get("gate"):
            gate.decide(trial.number, trial.result["spectral/objective"])
    # Workers have working directories of their own.
    absolute = StudyFolder(folder.path.resolve())
    trainable = tune.with_parameters(MaskTrial, study=study, data=data, state=state, sources=sources, folder=absolute)
    resources = {"cpu": study.resources.cpus, "gpu": study.resources.gpus}
    workspace = folder.path / "tune"
    tuner = tune.Tuner(
        tune.with_resources(trainable, resources),
        tune_config=tune.TuneConfig(
            search_alg=MaskSearcher(ledger, gate),
            scheduler=GatedASHA(study, gate),
            num_samples=ledger.remaining,
            max_concurrent_trials=study.search.max_concurrent,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(workspace.resolve()),
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[TrialEvents(recorder, progress, gate)],
            verbose=0,
        ),
    )
    try:
        with _interrupts_restored():
            tuner.fit()
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


@contextlib.contextmanager
def _interrupts_restored() -> Iterator[None]:
    """Tune leaves its own handlers behind, and the first Ctrl-C after it would be lost in them."""
    if threading.current_thread() is not threading.main_thread():
        # Handlers belong to the main thread; in another one Tune installs none.
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _close(study: Study, folder: StudyFolder, ledger: Ledger, recorder: Recorder, test_images: int) -> StudyResult:
    """Tables, plot, verdicts, and the end of the record."""
    trials, rows = ledger.trials(), leaderboard(ledger)
    metrics, verdict = trust(trials, study.objective)
    verdicts = [*against_baselines(rows, test_images), verdict]
    files = []
    if rows:
        files = [folder.report / "leaderboard.json"]
        write_json(files[0], split_table(rows))
        # What the parent run says of the best mask: its scores and accuracies.
        metrics |= {name: value for name, value in rows[0].values().items() if isinstance(value, float)}
    if any("accuracy/val" in trial.result for trial in trials):
        files.append(folder.report / "study.png")
        title = f"{study.model} on {study.data}, sparsity {study.sparsity:.4g}, pruned before training"
        plot_study(trials, rows, study.objective, title, files[-1])
    result = StudyResult(study, folder, trials, rows, ledger.remaining, verdicts)
    status = "KILLED" if result.remaining else "FAILED" if result.failure else "FINISHED"
    recorder.end_study(metrics, files, status, verdicts)
    return result
