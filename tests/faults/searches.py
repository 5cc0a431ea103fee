"""Searches in processes of their own, to be hurt, and what they came to."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psutil
import psycopg
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import load_study
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.process.heartbeat import read_heartbeat
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.store.ledger import ROLES, Ledger
from fullspectrum.search.store.storage import open_storage
from mlflow import MlflowClient

from ..search.tracked import label_of
from .s3 import S3

STUDY = """
model = "digits_cnn"
data = "digits"
sparsity = 0.98

[search]
trials = 8
samples_per_trial = 2
sampler = "random"

[gate]
quantile = 0.6
control = 0.2

[warmup]
iterations = 60
report_every = 20
grace_period = 20

[final]
top_k = 1
epochs = 2

[training]
learning_rate = { low = 0.01, high = 0.1, log = true }
batch_size = 64

[faults]
checkpoint_seconds = 0
grace_seconds = 15
"""

#: Signals work as on a terminal, also where a test runs in the background of a shell, which ignores Ctrl-C. The
#: heartbeat is written often, as trials last about a second.
_MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from fullspectrum.search.process import heartbeat
heartbeat.INTERVAL = 0.1
from fullspectrum.search.cli import main
sys.exit(main())
"""


class Search:
    """A study in `folder`, searched by one process after another."""

    started: ClassVar[list["Search"]] = []
    """All that were started since somebody emptied it."""

    def __init__(self, folder: Path, *settings: str, study: str = STUDY, home: str = "runs", store: S3 | None = None):
        if store:
            settings = (*settings, f"tracking.files={store.uri}")
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._settings = [f"--set={setting}" for setting in settings]
        self._home = home
        (folder / "study.toml").write_text(study)
        self.study: Study = load_study(str(folder / "study.toml"), settings)
        self.files: StudyFolder = Home(folder / home).study(self.study.id)
        self._store = store
        self.process: subprocess.Popen | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What its drivers and workers need to reach the store of its files, if it has one."""
        return self._store.environment if self._store else {}

    def start(self, *options: str, program: str = _MAIN, environment: dict[str, str] | None = None) -> "Search":
        """Starts a search, as a user does."""
        command = [
            sys.executable,
            "-c",
            program,
            "search",
            "study.toml",
            *self._settings,
            "--home",
            self._home,
            *options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self.environment | (environment or {}),
        )
        self.started.append(self)
        return self

    def end(self, status: int = 0, seconds: float = 150) -> tuple[str, str]:
        """Waits until it ends, and for that exit status; what it printed on stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert self.process.returncode == status, (self.process.returncode, out, err)
        return out, err

    def kill(self) -> None:
        """Kills all of it: supervisor and driver."""
        driver = self.driver()
        for pid in (self.process.pid, driver):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.communicate()
        self.wait(lambda: not driver or dead(driver), 30, ended=True)

    def kill_drivers(self, generator: random.Random, times: int, undisturbed: "Search") -> list[int]:
        """Kills the driver when so much has been written, drawn from what the undisturbed search wrote."""
        database = self.study.tracking.storage
        written, whole = (
            (partial(rows, database), undisturbed.rows()) if database else (self.journalled, undisturbed.journalled())
        )
        points = sorted(generator.sample(range(3, whole), times))
        for point in points:
            self.wait(lambda: written() >= point)  # noqa: B023
            driver = self.wait(self.driver)
            os.kill(driver, signal.SIGKILL)
            self.wait(lambda: self.driver() not in (None, driver))  # noqa: B023
        return points

    @contextlib.contextmanager
    def frozen(self, undisturbed: "Search") -> Iterator[dict[str, Any]]:
        """Stops a worker in the middle of a warm-up and yields its trial's line of the heartbeat; wakes it at the end.

        The trial is one of those that end only when they are trained, by what became of them in the undisturbed search:
        until the worker wakes up, it cannot end.
        """
        lasting = [one.number for one in undisturbed.ledger().trials() if one.outcome is Outcome.FINISHED]

        def freeze() -> dict[str, Any] | None:
            for one in self.heartbeat().get("running", []):
                if one["trial"] not in lasting or not one["pid"]:
                    continue
                # The heartbeat is behind: by now the worker may have another trial, or be gone.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one["pid"], signal.SIGSTOP)
                    self.wait(lambda: _status(one["pid"]) in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE))  # noqa: B023
                    if self._half_trained(one["trial"]):
                        return one
                    os.kill(one["pid"], signal.SIGCONT)
            return None

        victim = self.wait(freeze)
        try:
            yield victim
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim["pid"], signal.SIGCONT)

    def _half_trained(self, number: int) -> bool:
        """Whether a trial has trained, and has more to train; true of one that runs in a worker that is stopped."""
        # A checkpoint is written before the iterations that it holds are reported.
        folder = self.files.checkpoints(f"trial {number}")
        if self._store:
            names = self._store.names(f"{folder.relative_to(self.files.path.parent)}/")
        else:
            names = [file.name for file in folder.glob("*.checkpoint")]
        saved = [int(name.split("-")[1]) for name in names]
        # They are deleted once the trial has ended.
        return 0 < max(saved, default=0) < self.study.warmup.iterations and not self.ledger().trials()[number].outcome

    def driver(self) -> int | None:
        """The process id of the driver, once it says so."""
        children = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        return children[0].pid if children else None

    def wait(self, reached: Callable[[], Any], seconds: float = 90, ended: bool = False) -> Any:
        """Waits until `reached` is true, and returns it; the search must not end meanwhile, unless `ended`."""
        deadline = time.monotonic() + seconds
        while not (found := reached()):
            if not ended and self.process.poll() is not None:
                raise AssertionError(("the search ended", self.process.returncode, *self.process.communicate()))
            assert time.monotonic() < deadline, "it was not reached in time"
            time.sleep(0.02)
        return found

    def heartbeat(self) -> dict[str, Any]:
        """What the driver says of itself; empty where it says nothing."""
        return read_heartbeat(self.files.heartbeat) or {}

    def ledger(self) -> Ledger:
        """What is known of the study."""
        return Ledger(self.study, open_storage(self.study.tracking.storage, self.files.journal, create=False))

    def ended_in_spool(self) -> set[str]:
        """Names of the runs whose end the record has been told."""
        events = [json.loads(line) for line in self.files.spool.read_text().splitlines()]
        return {event["run"].split("/")[-1] for event in events if event["op"] == "end"}

    def journalled(self, word: str = "") -> int:
        """Lines of the journal in which a word stands; not the ids of runs, as many a line as MLflow had taken then."""
        lines = self.files.journal.read_text().splitlines() if self.files.journal.exists() else []
        return sum(word in line and '"mlflow/' not in line for line in lines)

    def rows(self) -> int:
        """The trials of the study and their attributes, of which a database has a row each."""
        ledger = self.ledger()
        return sum(1 + len(trial.user_attrs) for role in ROLES for trial in ledger.all_trials(role))

    def state(self) -> dict[str, Any]:
        """The final state of the study: candidates, digests, outcomes and accuracies."""
        ledger = self.ledger()
        trials = {}
        for trial in ledger.trials():
            file = self.files.trial(trial.number) / "candidates.json"
            rows = json.loads(file.read_text())["candidates"] if file.exists() else []
            candidates = [(row["seed"], row["digest"]) for row in rows]
            trials[trial.number] = (trial.outcome, trial.result, candidates)
        finals = {f.label: (f.outcome, f.accuracy_val, f.accuracy_final) for f in ledger.finals()}
        return {"trials": trials, "finals": finals}

    def runs(self, tracking_uri: str | None = None) -> dict[str, Any]:
        """The runs of the record by label, each with its points; a label that stands twice is an error."""
        client = MlflowClient(tracking_uri=tracking_uri or Home(self.folder / self._home).tracking_uri)
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = {}
        for run in client.search_runs(experiments, max_results=1000):
            label = label_of(run)
            assert label not in found, f"two runs of {label}"
            points = {
                (key, point.step, point.value)
                for key in run.data.metrics
                for point in _once(client.get_metric_history(run.info.run_id, key))
            }
            found[label] = (run.info.status, run.data.tags.get("fullspectrum.outcome"), points)
        return found

    def points(self) -> dict[str, Any]:
        """The runs of the record under names that another study would give them too."""
        return {name.removesuffix(self.study.id).strip(): run for name, run in self.runs().items()}


def _once(history: list) -> list:
    """The points of a metric, none of which may stand twice."""
    assert len({(point.step, point.value) for point in history}) == len(history), history
    return history


def rows(database: str) -> int:
    """The trials in a PostgreSQL database and their attributes; none before their tables are there."""
    with contextlib.suppress(psycopg.errors.UndefinedTable), psycopg.connect(database) as connection:
        counts = "SELECT (SELECT count(*) FROM trials) + (SELECT count(*) FROM trial_user_attributes)"
        return connection.execute(counts).fetchone()[0]
    return 0


def dead(pid: int) -> bool:
    """Whether a process has ended."""
    return _status(pid) == psutil.STATUS_ZOMBIE


def _status(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE
