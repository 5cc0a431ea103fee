"""The MLflow experiment that a spool is delivered to."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import first_line
from ..names import Tag
from .addresses import linked
from .destination import Destination
from .event import Artifact, End, Event, Metrics, Note, Start, Tags
from .spool import LONGEST
from .tracking import client_for

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, RunInfo

#: Error codes by which MLflow says that an event itself is wrong; errors that may pass have other codes.
_REFUSALS = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}

#: The same of HTTP, of a server that takes artifacts: bad request, too large, cannot be processed.
_REFUSED_UPLOADS = {400, 413, 422}


class EventRefused(Exception):
    """An event that can never be delivered."""


class Experiment:
    """An experiment that the events of a spool are delivered to, run by run.

    Delivering an event again changes nothing: runs are found by the tag `fullspectrum.key`, and MLflow stores a point
    of the same key, step, time and value once.
    """

    def __init__(self, destination: Destination, folder: Path):
        """Find the experiment, or make it; `folder` is that of the spool, from which artifacts are named."""
        self._destination = destination
        self._folder = folder
        self._client = client_for(destination.home, destination.server)
        self._runs: dict[str, RunInfo] = {}
        self._searched: set[str] = set()
        self._unsure: set[str] = set()
        self.new_runs: dict[str, str] = {}
        """MLflow ids by key, of the runs that were made or found since somebody cleared this."""
        self._id = self._find()

    def _find(self) -> str:
        from mlflow.entities import ViewType

        there, key = self._destination, f"tags.`{Tag.KEY}` = '{self._destination.key}'"
        # Anybody may rename it in MLflow, or remove the tag.
        known = list(self._client.search_experiments(ViewType.ALL, filter_string=key, order_by=["creation_time"]))
        if named := self._client.get_experiment_by_name(there.experiment):
            known.append(named)
        if not known:
            tags = {Tag.KEY: there.key, Tag.EXPERIMENT_KIND: "custom_model_development"} | dict(there.tags)
            return self._client.create_experiment(there.experiment, artifact_location=there.artifacts, tags=tags)
        if active := next((experiment for experiment in known if experiment.lifecycle_stage == "active"), None):
            if Tag.KEY not in active.tags:
                self._client.set_experiment_tag(active.experiment_id, Tag.KEY, there.key)
            return active.experiment_id
        # Not the fault of any event, and it can be undone.
        raise RuntimeError(f"the experiment {known[0].name!r} was deleted in MLflow; restore it there")

    def deliver(self, run: str, events: Sequence[Event]) -> list[tuple[Event, str]]:
        """Deliver consecutive events of the run with the key `run`.

        Return those that MLflow refuses for good, each with the reason. Raise where another try may help.
        """
        try:
            self._log(run, events)
        except Exception as error:
            if not _is_final(error):
                raise
            if len(events) > 1:
                return [refused for event in events for refused in self.deliver(run, [event])]
            # Refused because the whole experiment is gone, an event may still be taken later.
            self._find()
            return [(events[0], str(error) if isinstance(error, EventRefused) else first_line(error))]
        return []

    def _log(self, run: str, events: Sequence[Event]) -> None:
        starts = [event for event in events if isinstance(event, Start)]
        tags = {key: value for event in events if isinstance(event, Start | Tags) for key, value in event.tags.items()}
        info = self._find_run(run)
        made = info is None
        if info is None:
            if not starts:
                raise EventRefused(f"the experiment has no run {run!r}: it was deleted, or its start was refused")
            info, tags = self._make(starts[0], tags), {}
        if notes := [event.text for event in events if isinstance(event, Note)]:
            tags[Tag.NOTE] = self._describe(notes[-1])
        self._log_batch(info, events, tags)
        if starts and starts[-1].dataset is not None:
            self._client.log_inputs(info.run_id, datasets=[_input(starts[-1].dataset)])
        for event in events:
            if isinstance(event, Artifact):
                self._upload(info, str(self._folder / event.path), event.folder)
        self._set_status(info, events, made)

    def _describe(self, note: str) -> str:
        """Give the experiment a description, and return it with its links."""

        def find(key: str) -> str | None:
            info = self._find_run(key)
            return None if info is None else str(info.run_id)

        text = linked(note, self._id, find)[:LONGEST]
        self._client.set_experiment_tag(self._id, Tag.NOTE, text)
        return text

    def _log_batch(self, info: "RunInfo", events: Sequence[Event], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        # Set, not list: every attempt brings the parameters again, and a request with two of a name is refused.
        params = {item for event in events if isinstance(event, Start) for item in event.params.items()}
        self._client.log_batch(
            info.run_id,
            metrics=[
                Metric(key, value, event.time, event.step)
                for event in events
                if isinstance(event, Metrics)
                for key, value in event.metrics.items()
            ],
            params=[Param(key, value) for key, value in sorted(params)],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )

    def _set_status(self, info: "RunInfo", events: Sequence[Event], made: bool) -> None:
        """Close the run where the last event that opens or closes it is its end; open it again where it is a start."""
        last = next((event for event in reversed(events) if isinstance(event, Start | End)), None)
        if isinstance(last, End):
            self._client.set_terminated(info.run_id, last.status, last.time)
        elif last and not made:
            self._client.update_run(info.run_id, status="RUNNING")

    def _make(self, start: Start, tags: Mapping[str, str]) -> "RunInfo":
        tags = {**tags, Tag.KEY: start.run}
        if start.parent and (parent := self._find_run(start.parent)):
            tags[Tag.PARENT] = parent.run_id
        # MLflow may have made the run although the request failed.
        self._unsure.add(start.run)
        made = self._client.create_run(self._id, start_time=start.time, tags=tags, run_name=start.name)
        self._add_runs({start.run: made.info})
        return made.info

    def _upload(self, info: "RunInfo", path: str, folder: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        try:
            Path(path).open("rb").close()
        except (FileNotFoundError, PermissionError) as error:
            raise EventRefused(f"cannot read the file {path}: {error.strerror}") from None
        # MlflowClient.log_artifact does the same, but asks the store for the whole run first.
        repository = get_artifact_repository(info.artifact_uri, tracking_uri=self._client.tracking_uri)
        if isinstance(repository, LocalArtifactRepository):
            # Thousands of masks need not lie on the disk twice. On another disk MLflow copies.
            place = Path(repository.artifact_dir, folder, Path(path).name)
            with contextlib.suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
                # What is there may be another file's too, into which MLflow would write.
                place.unlink(missing_ok=True)
                os.link(path, place)
                return
        repository.log_artifact(path, folder or None)

    def _find_run(self, run: str) -> "RunInfo | None":
        # The store is read once, a page at a time; from then on nobody but this object makes such runs.
        study = run.partition("/")[0]
        if study not in self._searched:
            self._search(f"tags.`{Tag.KEY}` LIKE '{study}%'")
            self._searched.add(study)
        if run in self._unsure:
            self._search(f"tags.`{Tag.KEY}` = '{run}'")
        return self._runs.get(run)

    def _search(self, condition: str) -> None:
        token = None
        while True:
            page = self._client.search_runs([self._id], condition, max_results=1000, page_token=token)
            self._add_runs({run.data.tags[Tag.KEY]: run.info for run in page})
            token = page.token
            if not token:
                return

    def _add_runs(self, runs: Mapping[str, "RunInfo"]) -> None:
        self._runs.update(runs)
        self.new_runs.update({run: info.run_id for run, info in runs.items()})
        self._unsure.difference_update(runs)


def _input(dataset: Mapping[str, str]) -> "DatasetInput":
    """Return a data set as the input of a training."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return DatasetInput(Dataset(**dataset), [InputTag(Tag.DATA_USE, "training")])


def _is_final(error: Exception) -> bool:
    """Return whether another try is sure to fail: MLflow understood the request and refuses it."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

    if isinstance(error, MlflowException):
        # A store without a server reports every error of its database as a bad request, a lost connection too.
        passing = isinstance(error.__cause__, SQLAlchemyError)
        passing &= not isinstance(error.__cause__, DataError | IntegrityError)
        return error.error_code in _REFUSALS and not passing
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(error, EventRefused) or status in _REFUSED_UPLOADS
