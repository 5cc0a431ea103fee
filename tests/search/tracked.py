"""A spool on its way into a store, and what the store says of it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fullspectrum.search.files import Home
from fullspectrum.search.record.destination import Destination
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.record.uploader import Uploader
from mlflow import MlflowClient
from mlflow.entities import Run

#: Seconds that a delivery may take before a test fails; a delivery that works ends in a fraction of them.
TIMEOUT = 90.0


@dataclass(frozen=True)
class Place:
    """A spool file, the store that it goes to, and the name of an experiment there."""

    path: Path
    home: Home
    experiment: str

    def opened(self) -> closing[Spool]:
        """The spool, for writing."""
        return closing(Spool(self.path))

    @property
    def destination(self) -> Destination:
        """The experiment of that name in the store."""
        return Destination(self.home, self.experiment, self.experiment)

    def uploader(self, tracking_uri: str | None = None, **more: Any) -> Uploader:
        """An uploader that has not begun."""
        tags = {"fullspectrum.study": "abc"}
        return Uploader(self.path, replace(self.destination, server=tracking_uri, tags=tags), **more)

    def deliver(self) -> Uploader:
        """Runs an uploader until all is delivered."""
        working = self.uploader().start()
        assert working.close(TIMEOUT), working.problem
        assert working.problem is None
        return working

    def refused(self) -> list[dict[str, Any]]:
        """What was put aside."""
        file = self.path.with_suffix(".refused.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def written(self) -> list[dict[str, Any]]:
        """The events in the spool."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    @property
    def client(self) -> MlflowClient:
        """A client of the store."""
        return MlflowClient(tracking_uri=self.home.tracking_uri)

    def runs(self) -> dict[str, Run]:
        """The experiment's runs by label."""
        return runs_of(self.client, self.experiment)

    def points(self, run: Run, key: str) -> list[tuple[int, float, int]]:
        """Step, value and time of a metric's points."""
        return points_of(self.client, run, key)

    def artifact(self, run: Run, name: str) -> str:
        """The text of an artifact."""
        return Path(self.client.download_artifacts(run.info.run_id, name)).read_text()

    def state(self) -> dict[str, Any]:
        """All that the store says of the experiment."""
        return state_of(self.client, self.experiment)


#: A process that delivers a spool to a server that is not there, until it is killed.
_DELIVERS = """
import sys, time
from pathlib import Path
from fullspectrum.search.files import Home
from fullspectrum.search.record.destination import Destination
from fullspectrum.search.record.uploader import Uploader
spool = Path(sys.argv[1])
Uploader(spool, Destination(Home(spool.parent), "away", "away", "http://127.0.0.1:9")).start()
print("started", flush=True)
time.sleep(600)
"""


@contextmanager
def another_delivers(spool: Path) -> Iterator[int]:
    """Another process delivers the spool. Yields its id; what it holds ends with it, however it ends."""
    process = subprocess.Popen([sys.executable, "-c", _DELIVERS, str(spool)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "started\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()


def label_of(run: Run) -> str:
    """What a run is of (`trial 0`, `dense`), whatever its name says that it came to; the name of one that is nested in
    none.
    """
    return run.data.tags["fullspectrum.key"].partition("/")[2] or run.info.run_name.partition(":")[0]


def runs_of(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """An experiment's runs by their labels; no label may be there twice."""
    runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert len({label_of(run) for run in runs}) == len(runs)
    return {label_of(run): run for run in runs}


def points_of(client: MlflowClient, run: Run, key: str) -> list[tuple[int, float, int]]:
    """Step, value and time of a metric's points."""
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, key)]


def state_of(client: MlflowClient, experiment: str) -> dict[str, Any]:
    """All that a store says of an experiment, with the runs by their names, so that two stores can be compared."""
    runs = runs_of(client, experiment)
    names = {run.info.run_id: name for name, run in runs.items()}
    return {
        name: {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": run.data.tags | {"mlflow.parentRunId": names.get(run.data.tags.get("mlflow.parentRunId"))},
            "points": {key: points_of(client, run, key) for key in run.data.metrics},
            "files": {
                file.path: Path(client.download_artifacts(run.info.run_id, file.path)).read_bytes()
                for file in client.list_artifacts(run.info.run_id)
            },
        }
        for name, run in runs.items()
    }


def write_study(place: Place) -> None:
    """A parent run, a trial that ends and one that does not."""
    table = place.path.parent / "coordinate.json"
    table.write_text('{"columns": []}')
    with place.opened() as spool:
        spool.start("abc", "search abc", params={"seed": 0, "theta": [1.5]}, tags={"kind": "study"})
        spool.start(
            "abc/trial 0", "trial 0", params={"source": "snip"}, tags={"kind": "trial"}, parent="abc", attempt=1
        )
        spool.metrics("abc/trial 0", {"accuracy/val": 0.25, "spectral/l2": 3.5}, 0)
        spool.metrics("abc/trial 0", {"accuracy/val": 0.5}, 50)
        spool.tags("abc/trial 0", {"fullspectrum.gate": "passed"})
        spool.artifact("abc/trial 0", table)
        spool.start("abc/trial 1", "trial 1", params={}, tags={}, parent="abc", attempt=1)
        spool.end("abc/trial 0", "FINISHED")
        spool.end("abc", "FAILED")
