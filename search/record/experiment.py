"""The MLflow experiment that a spool is delivered to."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ...models.errors import first_line
from ..files import Home, write_json
from .tracking import client_for

if TYPE_CHECKING:
    from mlflow.entities import RunInfo

#: Error codes by which MLflow says that an event itself is wrong; what may pass has others.
_REFUSALS = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
#: The same of HTTP, of a server that takes artifacts: bad request, too large, cannot be processed.
_REFUSED_UPLOADS = {400, 413, 422}


@dataclass(frozen=True)
class Destination:
    """Where a spool goes."""

    tracking_uri: str
    experiment: str
    """Its name; it is made where it is not there yet."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of an experiment that is made."""
    artifacts: str | None = None
    """URI of the artifacts of an experiment that is made; None leaves it to the server."""

    @classmethod
    def of(cls, home: Home, tracking_uri: str | None, experiment: str, tags: Mapping[str, str], artifacts: str) -> Self:
        """An experiment at `tracking_uri`; without one in the store of `home`, whose `artifacts` have a folder."""
        if tracking_uri:
            return cls(tracking_uri, experiment, tags)
        return cls(home.tracking_uri, experiment, tags, (home.artifacts / artifacts).resolve().as_uri())

    @property
    def place(self) -> tuple[str, str]:
        """What tells it from others: server and experiment."""
        return self.tracking_uri, self.experiment

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What `write` wrote; None where nothing did."""
        try:
            return cls(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Writes it as JSON, for its owner alone."""
        write_json(path, asdict(self))
        # A URL may hold a password.
        path.chmod(0o600)


class Refused(Exception):
    """An event that can never be delivered."""


class Experiment:
    """Takes the events of a spool, run by run; taking an event again changes nothing.

    Runs are found by the tag `fullspectrum.key`, and an MLflow point of the same key, step, time and value is stored
    once.
    """

    def __init__(self, destination: Destination):
        """Finds the experiment, or makes it."""
        self._destination = destination
        self._client = client_for(destination.tracking_uri)
        self._runs: dict[str, RunInfo] = {}
        self._searched: set[str] = set()
        self._unsure: set[str] = set()
        self.news: dict[str, str] = {}
        """MLflow ids by key, of the runs that were made or found since somebody took them out of here."""
        self._id = self._find()

    def _find(self) -> str:
        name = self._destination.experiment
        known = self._client.get_experiment_by_name(name)
        if known is None:
            tags = {"mlflow.experimentKind": "custom_model_development"} | dict(self._destination.tags)
            return self._client.create_experiment(name, artifact_location=self._destination.artifacts, tags=tags)
        if known.lifecycle_stage != "active":
            # Not the fault of any event, and it can be undone.
            raise RuntimeError(f"the experiment {name!r} was deleted in MLflow; restore it there")
        return known.experiment_id

    def take(self, run: str, events: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
        """Takes consecutive events of the run known by the key `run`.

        Returns those that MLflow refuses for good, each with the reason; raises where another try may help.
        """
        try:
            self._take(run, events)
        except Exception as error:
            if not _for_good(error):
                raise
            if len(events) > 1:
                return [refused for event in events for refused in self.take(run, [event])]
            # Refused because the whole experiment is gone, an event may still be taken later.
            self._find()
            return [(events[0], str(error) if isinstance(error, Refused) else first_line(error))]
        return []

    def _take(self, run: str, events: Sequence[Mapping[str, Any]]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        starts = [event for event in events if event["op"] == "start"]
        tags = {key: value for event in events for key, value in event.get("tags", {}).items()}
        info = self._find_run(run)
        made = info is None
        if made:
            if not starts:
                raise Refused(f"the experiment has no run {run!r}: it was deleted, or its start was refused")
            info, tags = self._make(starts[0], tags), {}
        # Set, not list: every attempt brings the parameters again, and a request with two of a name is refused.
        params = {(key, value) for event in starts for key, value in event["params"].items()}
        self._client.log_batch(
            info.run_id,
            metrics=[
                Metric(key, value, event["time"], event["step"])
                for event in events
                if event["op"] == "metrics"
                for key, value in event["metrics"].items()
            ],
            params=[Param(key, value) for key, value in sorted(params)],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        for event in events:
            if event["op"] == "artifact":
                self._upload(info, event["path"])
        last = [event for event in events if event["op"] in ("start", "end")][-1:]
        if last and last[0]["op"] == "end":
            self._client.set_terminated(info.run_id, last[0]["status"], last[0]["time"])
        elif last and not made:
            self._client.update_run(info.run_id, status="RUNNING")

    def _make(self, start: Mapping[str, Any], tags: Mapping[str, str]) -> "RunInfo":
        run = start["run"]
        tags = tags | {"fullspectrum.key": run}
        if start["parent"] and (parent := self._find_run(start["parent"])):
            tags["mlflow.parentRunId"] = parent.run_id
        # A request that fails may have been obeyed all the same.
        self._unsure.add(run)
        made = self._client.create_run(self._id, start_time=start["time"], tags=tags, run_name=start["name"])
        self._note({run: made.info})
        return made.info

    def _upload(self, info: "RunInfo", path: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        try:
            Path(path).open("rb").close()
        except (FileNotFoundError, PermissionError) as error:
            raise Refused(f"cannot read the file {path}: {error.strerror}") from None
        # MlflowClient.log_artifact does the same, but asks the store for the whole run first.
        repository = get_artifact_repository(info.artifact_uri, tracking_uri=self._destination.tracking_uri)
        if isinstance(repository, LocalArtifactRepository):
            # Thousands of masks need not lie on the disk twice. Where something of that name is there already, or on
            # another disk, MLflow copies.
            with contextlib.suppress(OSError):
                os.makedirs(repository.artifact_dir, exist_ok=True)
                os.link(path, Path(repository.artifact_dir, Path(path).name))
                return
        repository.log_artifact(path)

    def _find_run(self, run: str) -> "RunInfo | None":
        # What the store holds is read once, a page at a time; from then on nobody but this object makes such runs.
        study = run.partition("/")[0]
        if study not in self._searched:
            self._search(f"tags.`fullspectrum.key` LIKE '{study}%'")
            self._searched.add(study)
        if run in self._unsure:
            self._search(f"tags.`fullspectrum.key` = '{run}'")
        return self._runs.get(run)

    def _search(self, condition: str) -> None:
        token = None
        while True:
            page = self._client.search_runs([self._id], condition, max_results=1000, page_token=token)
            self._note({run.data.tags["fullspectrum.key"]: run.info for run in page})
            token = page.token
            if not token:
                return

    def _note(self, runs: Mapping[str, "RunInfo"]) -> None:
        self._runs.update(runs)
        self.news.update({run: info.run_id for run, info in runs.items()})
        self._unsure.difference_update(runs)


def _for_good(error: Exception) -> bool:
    """Whether another try is sure to fail: MLflow understood the request and refuses it."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

    if isinstance(error, MlflowException):
        # A store without a server calls whatever its database has a bad request, a lost connection too.
        passing = isinstance(error.__cause__, SQLAlchemyError)
        passing &= not isinstance(error.__cause__, DataError | IntegrityError)
        return error.error_code in _REFUSALS and not passing
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, Refused) or status in _REFUSED_UPLOADS
