"""Delivers a spool to MLflow in the background."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..models.files import write_atomically
from .tracking import client_for


class Uploader:
    """Delivers a spool to MLflow in a thread of its own, from where the last delivery ended.

    Runs are found by the tag `fullspectrum.key`, and an MLflow point of the same key, step, time and value is stored
    once, so that delivering an event again changes nothing. While the server is away it tries again, ever more slowly.
    """

    def __init__(
        self, spool: Path, tracking_uri: str, experiment: str, tags: Mapping[str, str], artifacts: str | None = None
    ):
        """`experiment` is made where it is not there yet, with `tags` and its artifacts at that URI, if given."""
        self._spool = spool
        self._position_file = spool.with_suffix(".delivered")
        self._tracking_uri = tracking_uri
        self._experiment = experiment
        self._tags = dict(tags)
        self._artifacts = artifacts
        self._runs: dict[str, str] = {}
        self._stop = threading.Event()
        self.problem: str | None = None
        """Why the last try failed; None while events are delivered."""
        self._thread = threading.Thread(target=self._work, name="mlflow-uploader", daemon=True)

    @property
    def position(self) -> int:
        """Bytes of the spool that are delivered."""
        return int(self._position_file.read_text()) if self._position_file.exists() else 0

    @property
    def delivered(self) -> bool:
        """Whether everything in the spool is delivered."""
        return not self._spool.exists() or self.position >= self._spool.stat().st_size

    def start(self) -> "Uploader":
        """Begins to deliver."""
        self._thread.start()
        return self

    def close(self, patience: float) -> bool:
        """Delivers what is left, for at most `patience` seconds; returns whether everything is delivered.

        While the server is away it is not waited for longer than one more try.
        """
        self._stop.set()
        self._thread.join(patience)
        return self.delivered

    def _work(self) -> None:
        pause = 0.2
        while True:
            stopping = self._stop.is_set()
            try:
                self._deliver()
                self.problem, pause = None, 0.2
            except Exception as error:  # noqa: BLE001 - whatever the server does, the search goes on
                self.problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                pause = min(2 * pause, 30.0)
            if stopping:
                return
            self._stop.wait(pause)

    def _deliver(self) -> None:
        if self.delivered:
            return
        client, experiment_id = self._connect()
        with self._spool.open("rb") as file:
            file.seek(self.position)
            # A line without its end is still being written.
            while (line := file.readline()).endswith(b"\n"):
                self._send(client, experiment_id, json.loads(line))
                write_atomically(self._position_file, str(file.tell()).encode())

    def _connect(self):
        if not hasattr(self, "_connection"):
            client = client_for(self._tracking_uri)
            self._connection = client, self._experiment_id(client)
        return self._connection

    def _experiment_id(self, client) -> str:
        known = client.get_experiment_by_name(self._experiment)
        if known is not None:
            return known.experiment_id
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return client.create_experiment(self._experiment, artifact_location=self._artifacts, tags=kind | self._tags)

    def _send(self, client, experiment_id: str, event: dict[str, Any]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        moment = event["time"]
        if event["op"] == "start":
            self._start_run(client, experiment_id, event)
            params = [Param(key, value) for key, value in event["params"].items()]
            for first in range(0, len(params), 100):
                client.log_batch(self._runs[event["run"]], params=params[first : first + 100])
            return
        run_id = self._run_id(client, experiment_id, event["run"])
        match event["op"]:
            case "metrics":
                points = [Metric(key, value, moment, event["step"]) for key, value in event["metrics"].items()]
                client.log_batch(run_id, metrics=points)
            case "tags":
                client.log_batch(run_id, tags=[RunTag(key, value) for key, value in event["tags"].items()])
            # A trial that failed early leaves no files, and a file that is gone must not hold back all that follows.
            case "artifact" if Path(event["path"]).is_file():
                client.log_artifact(run_id, event["path"])
            case "end":
                client.set_terminated(run_id, event["status"], moment)

    def _start_run(self, client, experiment_id: str, event: dict[str, Any]) -> None:
        run = event["run"]
        if run_id := self._run_id(client, experiment_id, run):
            client.update_run(run_id, status="RUNNING")
            for key, value in event["tags"].items():
                client.set_tag(run_id, key, value)
            return
        tags = event["tags"] | {"fullspectrum.key": run}
        if event["parent"]:
            tags["mlflow.parentRunId"] = self._run_id(client, experiment_id, event["parent"])
        created = client.create_run(experiment_id, start_time=event["time"], tags=tags, run_name=event["name"])
        self._runs[run] = created.info.run_id

    def _run_id(self, client, experiment_id: str, run: str) -> str | None:
        if run not in self._runs:
            found = client.search_runs([experiment_id], f"tags.`fullspectrum.key` = '{run}'", max_results=1)
            if not found:
                return None
            self._runs[run] = found[0].info.run_id
        return self._runs[run]
