"""From the spool to MLflow: everything arrives, once, and nobody waits for it."""

import json
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from fullspectrum.search.files import Home
from fullspectrum.search.spool import Spool
from fullspectrum.search.uploader import Uploader
from mlflow import MlflowClient
from mlflow.entities import Run

# MLflow loads for seconds and makes its tables when a store is first used, longer on a busy machine.
pytestmark = pytest.mark.timeout(120)

#: Seconds that a delivery may take before a test fails; a delivery that works ends in a fraction of them.
PATIENCE = 90.0


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Home:
    """A store with its tables made; each test has an experiment of its own."""
    return Home(tmp_path_factory.mktemp("store")).create()


@pytest.fixture
def place(tmp_path, store, request) -> SimpleNamespace:
    """A spool file, the store, and the name of an experiment."""
    return SimpleNamespace(path=tmp_path / "spool.jsonl", home=store, experiment=request.node.name)


def uploader(place, tracking_uri: str | None = None) -> Uploader:
    tags, artifacts = {"fullspectrum.study": "abc"}, (place.home.artifacts / "abc").resolve().as_uri()
    return Uploader(place.path, tracking_uri or place.home.tracking_uri, place.experiment, tags, artifacts)


def deliver(place) -> Uploader:
    """Runs an uploader until all is delivered."""
    working = uploader(place).start()
    assert working.close(PATIENCE), working.problem
    assert working.problem is None
    return working


def client_of(place) -> MlflowClient:
    return MlflowClient(tracking_uri=place.home.tracking_uri)


def runs_of(place) -> dict[str, Run]:
    """The experiment's runs by name; no name may be there twice."""
    client = client_of(place)
    experiment = client.get_experiment_by_name(place.experiment)
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def points(place, run: Run, key: str) -> list[tuple[int, float, int]]:
    """Step, value and time of a metric's points."""
    return [(m.step, m.value, m.timestamp) for m in client_of(place).get_metric_history(run.info.run_id, key)]


def artifact(place, run: Run, name: str) -> str:
    return Path(client_of(place).download_artifacts(run.info.run_id, name)).read_text()


def written(place) -> list[dict]:
    return [json.loads(line) for line in place.path.read_text().splitlines()]


def write_study(place) -> None:
    """A parent run, a trial that ends and one that does not."""
    table = place.path.parent / "coordinate.json"
    table.write_text('{"columns": []}')
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={"seed": 0, "theta": [1.5]}, tags={"kind": "study"})
        spool.start("abc/trial 0", "trial 0", params={"source": "snip"}, tags={"kind": "trial"}, parent="abc")
        spool.metrics("abc/trial 0", {"accuracy/val": 0.25, "spectral/l2": 3.5}, 0)
        time.sleep(0.005)
        spool.metrics("abc/trial 0", {"accuracy/val": 0.5}, 50)
        spool.tags("abc/trial 0", {"fullspectrum.gate": "passed"})
        spool.artifact("abc/trial 0", table)
        spool.start("abc/trial 1", "trial 1", params={}, tags={}, parent="abc")
        spool.end("abc/trial 0", "FINISHED")
        spool.end("abc", "FAILED")


def state_of(place) -> dict:
    """All that the store says of the experiment."""
    return {
        name: (
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            run.data.params,
            run.data.tags,
            {key: points(place, run, key) for key in run.data.metrics},
        )
        for name, run in runs_of(place).items()
    }


def test_runs_arrive_with_all_that_was_written(place):
    write_study(place)
    deliver(place)
    runs, events = runs_of(place), written(place)
    parent, first, second = (runs[name] for name in ("search abc", "trial 0", "trial 1"))
    assert len(runs) == 3
    assert [run.data.tags.get("mlflow.parentRunId") for run in (parent, first, second)] == [
        None,
        parent.info.run_id,
        parent.info.run_id,
    ]
    assert parent.data.params == {"seed": "0", "theta": "[1.5]"}
    assert first.data.params == {"source": "snip"}
    assert parent.data.tags["kind"] == "study"
    assert (first.data.tags["kind"], first.data.tags["fullspectrum.gate"]) == ("trial", "passed")
    assert points(place, first, "accuracy/val") == [(0, 0.25, events[2]["time"]), (50, 0.5, events[3]["time"])]
    assert points(place, first, "spectral/l2") == [(0, 3.5, events[2]["time"])]
    assert artifact(place, first, "coordinate.json") == '{"columns": []}'
    assert [run.info.status for run in (parent, first, second)] == ["FAILED", "FINISHED", "RUNNING"]
    assert [run.info.start_time for run in (parent, first, second)] == [events[i]["time"] for i in (0, 1, 6)]
    assert [run.info.end_time for run in (parent, first, second)] == [events[8]["time"], events[7]["time"], None]


def test_the_experiment_carries_its_tags_and_its_artifacts_lie_under_the_home(place):
    write_study(place)
    deliver(place)
    experiment = client_of(place).get_experiment_by_name(place.experiment)
    assert experiment.tags["fullspectrum.study"] == "abc"
    assert experiment.artifact_location == (place.home.artifacts / "abc").resolve().as_uri()


def test_delivered_twice_changes_nothing(place):
    write_study(place)
    first = deliver(place)
    before = state_of(place)
    place.path.with_suffix(".delivered").unlink()
    assert not first.delivered
    second = deliver(place)
    assert second.delivered
    assert state_of(place) == before


def test_a_later_uploader_goes_on_where_the_last_one_ended(place):
    write_study(place)
    deliver(place)
    position = place.path.stat().st_size
    assert int(place.path.with_suffix(".delivered").read_text()) == position
    with closing(Spool(place.path)) as spool:
        spool.metrics("abc/trial 1", {"accuracy/val": 0.75}, 100)
        spool.end("abc/trial 1", "FINISHED")
    later = uploader(place)
    assert later.position == position
    assert not later.delivered
    deliver(place)
    trial = runs_of(place)["trial 1"]
    assert [point[:2] for point in points(place, trial, "accuracy/val")] == [(100, 0.75)]
    assert trial.info.status == "FINISHED"


def test_a_run_that_is_started_again_goes_on_under_its_id(place):
    write_study(place)
    deliver(place)
    before = runs_of(place)["trial 0"]
    with closing(Spool(place.path)) as spool:
        spool.start("abc/trial 0", "trial 0", params={"source": "snip"}, tags={"attempt": "2"}, parent="abc")
    deliver(place)
    after = runs_of(place)["trial 0"]
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "RUNNING"
    assert after.info.start_time == before.info.start_time
    assert after.data.tags["attempt"] == "2"


def test_more_parameters_than_one_request_takes_arrive(place):
    params = {f"theta.layer{i}": i / 7 for i in range(250)}
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params=params | {"long": "x" * 9000}, tags={"note": "plain"})
        spool.tags("abc", {"reason": "y" * 9000})
    deliver(place)
    run = runs_of(place)["search abc"]
    # What is too long for a store is cut and holds nothing back.
    assert run.data.params == {key: str(value) for key, value in params.items()} | {"long": "x" * 5000}
    assert run.data.tags["reason"] == "y" * 5000


def test_a_number_that_is_not_finite_is_never_written_as_one(place):
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={"temperature": float("inf")}, tags={})
        spool.metrics("abc", {}, 0)
        spool.tags("abc", {})
    assert [event["op"] for event in written(place)] == ["start"]
    assert "Infinity" not in place.path.read_text()


def test_a_file_that_is_not_there_holds_nothing_back(place):
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={}, tags={})
        spool.artifact("abc", place.path.parent / "never-written.json")
        spool.end("abc", "FINISHED")
    deliver(place)
    assert runs_of(place)["search abc"].info.status == "FINISHED"


def test_a_line_that_is_still_being_written_is_left_for_later(place):
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={}, tags={})
    whole = place.path.stat().st_size
    line = (
        json.dumps({"op": "metrics", "run": "abc", "metrics": {"a": 1.0}, "step": 0, "time": 1_700_000_000_000}) + "\n"
    )
    with place.path.open("a") as file:
        file.write(line[:30])
    working = uploader(place).start()
    assert not working.close(PATIENCE)
    assert working.problem is None
    assert working.position == whole
    assert runs_of(place)["search abc"].data.metrics == {}
    with place.path.open("a") as file:
        file.write(line[30:])
    deliver(place)
    assert points(place, runs_of(place)["search abc"], "a") == [(0, 1.0, 1_700_000_000_000)]


def test_a_line_torn_by_a_crash_spoils_nothing_that_follows(place):
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={}, tags={})
    with place.path.open("a") as file:
        file.write('{"op": "end", "run": "ab')
    with closing(Spool(place.path)) as spool:
        spool.metrics("abc", {"a": 2.0}, 1)
    assert [event["op"] for event in written(place)] == ["start", "metrics"]
    deliver(place)
    run = runs_of(place)["search abc"]
    assert (run.info.status, run.data.metrics) == ("RUNNING", {"a": 2.0})


def test_a_server_that_is_away_delays_nobody_and_loses_nothing(place):
    # Nothing listens on port 9, the discard service, on this machine.
    away = uploader(place, "http://127.0.0.1:9").start()
    started = time.monotonic()
    write_study(place)
    # Nine events, each one synced to the disk: seconds would mean that somebody waits for the server.
    assert time.monotonic() - started < 5
    deadline = time.monotonic() + PATIENCE
    while away.problem is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert away.problem and "\n" not in away.problem
    assert not away.close(PATIENCE)
    assert away.position == 0
    assert len(written(place)) == 9

    deliver(place)
    runs = runs_of(place)
    assert {name: run.info.status for name, run in runs.items()} == {
        "search abc": "FAILED",
        "trial 0": "FINISHED",
        "trial 1": "RUNNING",
    }
    # The times are those of the events, not of their delivery.
    assert runs["search abc"].info.end_time == written(place)[-1]["time"]


def test_a_server_that_fails_is_tried_again_and_the_problem_forgotten(place, monkeypatch):
    create, seen = MlflowClient.create_run, []
    working = uploader(place)

    def failing_twice(self, *arguments, **named):
        seen.append(working.problem)
        if len(seen) <= 2:
            raise ConnectionError(f"failure {len(seen)}\nwith details")
        return create(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_run", failing_twice)
    with closing(Spool(place.path)) as spool:
        spool.start("abc", "search abc", params={}, tags={})
    working.start()
    deadline = time.monotonic() + PATIENCE
    while not working.delivered and time.monotonic() < deadline:
        time.sleep(0.05)
    assert working.close(PATIENCE)
    assert seen == [None, "ConnectionError: failure 1", "ConnectionError: failure 2"]
    assert working.problem is None
    assert set(runs_of(place)) == {"search abc"}


def test_there_is_nothing_to_deliver_where_nothing_was_written(place):
    idle = uploader(place).start()
    assert idle.delivered
    assert idle.close(PATIENCE)
    assert client_of(place).get_experiment_by_name(place.experiment) is None


def test_events_of_several_threads_do_not_mix(place):
    with closing(Spool(place.path)) as spool:
        threads = [
            threading.Thread(target=lambda i=i: [spool.metrics(f"run {i}", {"a" * 500: 1.0}, s) for s in range(20)])
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = written(place)
    assert len(events) == 80
    for i in range(4):
        assert [event["step"] for event in events if event["run"] == f"run {i}"] == list(range(20))
