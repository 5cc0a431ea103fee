"""From the spool to MLflow: everything arrives, once, and nobody waits for it."""

import json
import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.files import Home
from fullspectrum.search.record import uploader as module
from fullspectrum.search.record.delivery import delivered
from fullspectrum.search.record.destination import Destination
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import InterfaceError

from ..tracked import TIMEOUT, Place, another_delivers, write_study

# MLflow loads for seconds and makes its tables when a store is first used, longer on a busy machine.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Home:
    """A store with its tables made; each test has an experiment of its own."""
    return Home(tmp_path_factory.mktemp("store")).create()


@pytest.fixture
def place(tmp_path, store, request) -> Place:
    return Place(tmp_path / "spool.jsonl", store, request.node.name)


def until(happened) -> None:
    """Waits for something that the uploader's thread does."""
    deadline = time.monotonic() + TIMEOUT
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert happened()


class Crash(BaseException):
    """The process dies here."""


def test_runs_arrive_with_all_that_was_written(place):
    write_study(place)
    place.deliver()
    runs, events = place.runs(), place.written()
    parent, first, second = (runs[name] for name in ("search abc", "trial 0", "trial 1"))
    assert len(runs) == 3
    parents = [run.data.tags.get("mlflow.parentRunId") for run in (parent, first, second)]
    assert parents == [None, parent.info.run_id, parent.info.run_id]
    assert parent.data.params == {"seed": "0", "theta": "[1.5]"}
    assert first.data.params == {"source": "snip"}
    assert parent.data.tags["kind"] == "study"
    assert (first.data.tags["kind"], first.data.tags["fullspectrum.gate"]) == ("trial", "passed")
    assert place.points(first, "accuracy/val") == [(0, 0.25, events[2]["time"]), (50, 0.5, events[3]["time"])]
    assert place.points(first, "spectral/l2") == [(0, 3.5, events[2]["time"])]
    assert place.artifact(first, "coordinate.json") == '{"columns": []}'
    assert [run.info.status for run in (parent, first, second)] == ["FAILED", "FINISHED", "RUNNING"]
    assert [run.info.start_time for run in (parent, first, second)] == [events[i]["time"] for i in (0, 1, 6)]
    assert [run.info.end_time for run in (parent, first, second)] == [events[8]["time"], events[7]["time"], None]


def test_an_artifact_on_the_same_disk_takes_no_second_place(place):
    write_study(place)
    place.deliver()
    [logged] = [place.path.parent / event["path"] for event in place.written() if event["op"] == "artifact"]
    kept = url2pathname(urlsplit(place.runs()["trial 0"].info.artifact_uri).path)
    assert logged.samefile(Path(kept, logged.name))


def test_the_experiment_carries_its_tags_and_its_artifacts_lie_under_the_home(place):
    write_study(place)
    place.deliver()
    experiment = place.client.get_experiment_by_name(place.experiment)
    assert experiment.tags["fullspectrum.study"] == "abc"
    assert experiment.artifact_location == (place.home.artifacts / place.experiment).as_uri()


def test_delivered_twice_changes_nothing(place):
    """P3."""
    write_study(place)
    place.deliver()
    before = place.state()
    place.path.with_suffix(".delivered").unlink()
    assert not place.uploader().delivered
    place.deliver()
    assert place.state() == before


@pytest.mark.parametrize("request_name", ["create_run", "log_batch", "set_terminated"])
@pytest.mark.parametrize("obeyed", [True, False])
def test_a_crash_at_any_request_leaves_nothing_missing_and_nothing_twice(place, monkeypatch, request_name, obeyed):
    """P3: also between the making of a run and the note that it was delivered; the next uploader is a new process."""
    write_study(place)
    original, calls = getattr(MlflowClient, request_name), []

    def dying(self, *arguments, **named):
        calls.append(1)
        if len(calls) > 1:
            if obeyed and len(calls) == 2:
                original(self, *arguments, **named)
            raise Crash
        return original(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, request_name, dying)
        assert not place.uploader().start().close(TIMEOUT)
    place.deliver()
    delivered_after_a_crash = place.state()
    whole = Place(place.path, place.home, f"{place.experiment} undisturbed")
    whole.deliver()
    assert delivered_after_a_crash == whole.state()


def test_a_run_that_was_made_by_a_request_that_failed_is_not_made_twice(place, monkeypatch):
    """P3: the same uploader goes on after the answer was lost."""
    write_study(place)
    create, calls = MlflowClient.create_run, []

    def answer_lost(self, *arguments, **named):
        calls.append(named["run_name"])
        made = create(self, *arguments, **named)
        if len(calls) == 2:
            raise ConnectionError("reset by peer")
        return made

    monkeypatch.setattr(MlflowClient, "create_run", answer_lost)
    working = place.uploader().start()
    until(lambda: working.delivered)
    assert working.close(TIMEOUT)
    assert calls == ["search abc", "trial 0", "trial 1"]
    assert set(place.runs()) == set(calls)


def test_a_later_uploader_goes_on_where_the_last_one_ended(place):
    write_study(place)
    place.deliver()
    position = place.path.stat().st_size
    assert int(place.path.with_suffix(".delivered").read_text()) == position
    with place.opened() as spool:
        spool.metrics("abc/trial 1", {"accuracy/val": 0.75}, 100)
        spool.end("abc/trial 1", "FINISHED")
    later = place.uploader()
    assert (later.position, later.depth, later.delivered) == (position, 2, False)
    place.deliver()
    assert later.depth == 0
    trial = place.runs()["trial 1"]
    assert [point[:2] for point in place.points(trial, "accuracy/val")] == [(100, 0.75)]
    assert trial.info.status == "FINISHED"


def test_a_run_that_is_started_again_goes_on_under_its_id(place):
    write_study(place)
    place.deliver()
    before = place.runs()["trial 0"]
    with place.opened() as spool:
        params, tags = {"source": "snip"}, {"attempt": "2"}
        spool.start("abc/trial 0", "trial 0", params=params, tags=tags, parent="abc", attempt=2)
    place.deliver()
    after = place.runs()["trial 0"]
    assert after.info.run_id == before.info.run_id
    assert after.info.status == "RUNNING"
    assert after.info.start_time == before.info.start_time
    assert after.data.tags["attempt"] == "2"


def test_more_than_one_request_takes_arrives(place):
    params = {f"theta.layer{i}": i / 7 for i in range(250)}
    metrics = {f"metric{i}": float(i) for i in range(1300)}
    with place.opened() as spool:
        spool.start("abc", "search abc", params=params | {"long": "x" * 9000}, tags={"note": "plain"})
        spool.tags("abc", {"reason": "y" * 9000} | {f"tag{i}": str(i) for i in range(120)})
        spool.metrics("abc", metrics, 0)
    place.deliver()
    run = place.runs()["search abc"]
    # What is too long for a store is cut and holds nothing back.
    assert run.data.params == {key: str(value) for key, value in params.items()} | {"long": "x" * 5000}
    assert run.data.tags["reason"] == "y" * 5000
    assert run.data.tags["tag119"] == "119"
    assert run.data.metrics == metrics


def test_a_block_is_told_run_by_run_in_few_requests(place, monkeypatch):
    """Batched: for each run of a block one creation, one batch, one end, however many events there are."""
    calls = []
    for name in ("create_run", "log_batch", "set_terminated", "search_runs", "update_run", "set_tag"):
        original = getattr(MlflowClient, name)
        monkeypatch.setattr(
            MlflowClient,
            name,
            lambda *a, _name=name, _original=original, **k: (calls.append(_name), _original(*a, **k))[1],
        )
    with place.opened() as spool:
        for step in range(3):
            for trial in range(4):
                run = f"abc/trial {trial}"
                spool.start(run, f"trial {trial}", params={"source": "snip"}, tags={}, attempt=step + 1)
                spool.metrics(run, {"accuracy/val": step / 4}, step)
                spool.tags(run, {"gate": f"{step}"})
        for trial in range(4):
            spool.end(f"abc/trial {trial}", "FINISHED")
    place.deliver()
    assert {name: calls.count(name) for name in calls} == {
        "search_runs": 1,
        "create_run": 4,
        "log_batch": 4,
        "set_terminated": 4,
    }


def test_what_is_refused_for_good_is_put_aside_with_the_reason_and_holds_nothing_back(place):
    """P4: a parameter with another value, a run that was deleted in the UI, a file that is gone, no event at all."""
    lost = place.path.parent / "lost.json"
    lost.write_text("{}")
    write_study(place)
    place.deliver()
    place.client.delete_run(place.runs()["trial 1"].info.run_id)
    with place.opened() as spool:
        spool.start("abc/trial 0", "trial 0", params={"source": "synflow"}, tags={}, parent="abc", attempt=2)
        spool.metrics("abc/trial 0", {"accuracy/val": 0.75}, 100)
        spool.artifact("abc/trial 0", lost)
        spool.metrics("abc/trial 1", {"accuracy/val": 0.5}, 100)
        spool.end("abc/trial 0", "FINISHED")
    with place.path.open("a") as file:
        file.write("\0\0\0\n")
    with place.opened() as spool:
        spool.start("abc/trial 2", "trial 2", params={}, tags={}, parent="abc", attempt=1)
    lost.unlink()
    working = place.deliver()
    assert working.refused == 4
    reasons = {row["event"]["op"] if isinstance(row["event"], dict) else "": row["reason"] for row in place.refused()}
    assert reasons.keys() == {"", "start", "artifact", "metrics"}
    assert "Changing param values" in reasons["start"]
    assert "lost.json: No such file" in reasons["artifact"]
    assert "abc/trial 1" in reasons["metrics"]
    trial = place.runs()["trial 0"]
    assert [point[:2] for point in place.points(trial, "accuracy/val")] == [(0, 0.25), (50, 0.5), (100, 0.75)]
    assert (trial.info.status, trial.data.params) == ("FINISHED", {"source": "snip"})
    assert "trial 2" in place.runs()

    # Refused again, it is not put aside twice.
    place.path.with_suffix(".delivered").unlink()
    assert place.deliver().refused == 4


def test_an_experiment_that_was_deleted_can_be_restored_and_nothing_is_lost(place):
    """P4: what the user can undo is waited for."""
    write_study(place)
    place.deliver()
    experiment_id = place.client.get_experiment_by_name(place.experiment).experiment_id
    place.client.delete_experiment(experiment_id)
    with place.opened() as spool:
        spool.start("abc/trial 2", "trial 2", params={}, tags={}, parent="abc", attempt=1)
    working = place.uploader().start()
    until(lambda: working.problem)
    assert "was deleted in MLflow; restore it" in working.problem
    assert not working.close(TIMEOUT)
    place.client.restore_experiment(experiment_id)
    place.deliver()
    assert (set(place.runs()), place.refused()) == ({"search abc", "trial 0", "trial 1", "trial 2"}, [])


def test_an_experiment_that_was_renamed_in_mlflow_is_found_and_goes_on(place):
    """By its tag, whatever it is called now; by its name where somebody removed the tag."""
    write_study(place)
    place.deliver()
    [experiment] = [one for one in place.client.search_experiments() if one.name == place.experiment]
    place.client.rename_experiment(experiment.experiment_id, f"{place.experiment} of mine")
    with place.opened() as spool:
        spool.end("abc/trial 1", "FINISHED")
    place.deliver()
    assert place.client.get_experiment_by_name(place.experiment) is None
    renamed = Place(place.path, place.home, f"{place.experiment} of mine")
    assert renamed.runs()["trial 1"].info.status == "FINISHED"

    place.client.rename_experiment(experiment.experiment_id, place.experiment)
    place.client.delete_experiment_tag(experiment.experiment_id, "fullspectrum.key")
    with place.opened() as spool:
        spool.start("abc/trial 2", "trial 2", params={}, tags={}, parent="abc", attempt=1)
    place.deliver()
    assert "trial 2" in place.runs()
    found = place.client.get_experiment(experiment.experiment_id)
    assert found.tags["fullspectrum.key"] == experiment.tags["fullspectrum.key"]


def test_a_description_links_to_runs_of_its_own_block_and_stands_at_the_experiment_too(place):
    write_study(place)
    with place.opened() as spool:
        spool.note("abc", "[best](run:abc/trial 9), [other](run:abc/trial 1), [none](run:abc/trial 7)")
        spool.start("abc/trial 9", "trial 9", params={}, tags={}, parent="abc", attempt=1)
    place.deliver()
    runs, experiment = place.runs(), place.client.get_experiment_by_name(place.experiment)
    link = f"#/experiments/{experiment.experiment_id}/runs/{{}}?workflowType=machine_learning"
    best, other = (link.format(runs[name].info.run_id) for name in ("trial 9", "trial 1"))
    note = f"[best]({best}), [other]({other}), none"
    assert runs["search abc"].data.tags["mlflow.note.content"] == note
    assert experiment.tags["mlflow.note.content"] == note


def test_a_file_in_a_folder_takes_the_place_of_another_and_leaves_that_as_it_is(place):
    write_study(place)
    for number in range(2):
        file = place.path.parent / str(number) / "mask.safetensors"
        file.parent.mkdir()
        file.write_text(f"mask {number}")
        with place.opened() as spool:
            spool.artifact("abc", file, "best")
        place.deliver()
    assert place.artifact(place.runs()["search abc"], "best/mask.safetensors") == "mask 1"
    # Linked and not copied, the first would have been written into.
    assert (place.path.parent / "0" / "mask.safetensors").read_text() == "mask 0"


def test_a_run_has_its_data_set_once_however_often_it_is_started(place):
    dataset = {"name": "digits", "digest": "abc", "source_type": "fullspectrum", "source": "{}", "profile": "{}"}
    for attempt in (1, 2):
        with place.opened() as spool:
            spool.start("abc/trial 0", "trial 0", params={}, tags={}, attempt=attempt, dataset=dataset)
        place.deliver()
    [used] = place.runs()["trial 0"].inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", "abc")
    assert {tag.key: tag.value for tag in used.tags} == {"mlflow.data.context": "training"}


def test_the_name_of_a_run_is_what_the_last_tag_says(place):
    write_study(place)
    with place.opened() as spool:
        spool.tags("abc/trial 0", {"mlflow.runName": "#0 snip 0.500 finished"})
    place.deliver()
    assert place.runs()["trial 0"].info.run_name == "#0 snip 0.500 finished"


def test_a_server_that_is_away_delays_nobody_and_loses_nothing(place):
    """P4."""
    # Nothing listens on port 9, the discard service, on this machine.
    away = place.uploader("http://127.0.0.1:9").start()
    write_study(place)
    until(lambda: away.problem)
    assert "\n" not in away.problem
    assert not away.close(TIMEOUT)
    assert (away.position, away.depth) == (0, 9)

    place.deliver()
    runs = place.runs()
    statuses = {"search abc": "FAILED", "trial 0": "FINISHED", "trial 1": "RUNNING"}
    assert {name: run.info.status for name, run in runs.items()} == statuses
    # The times are those of the events, not of their delivery.
    assert runs["search abc"].info.end_time == place.written()[-1]["time"]


def locked() -> Exception:
    return MlflowException("(sqlite3.OperationalError) database is locked", TEMPORARILY_UNAVAILABLE)


def connection_lost() -> Exception:
    """As MLflow tells it of a PostgreSQL server that it asks without a server of its own between."""
    error = MlflowException("the connection is closed", error_code=INVALID_PARAMETER_VALUE)
    error.__cause__ = InterfaceError("", {}, Exception())
    return error


@pytest.mark.parametrize("failure", [lambda: ConnectionError("failure\nwith details"), locked, connection_lost])
def test_what_may_pass_is_tried_again_and_the_problem_forgotten(place, monkeypatch, failure):
    create, seen = MlflowClient.create_run, []
    working = place.uploader()

    def failing_once(self, *arguments, **named):
        seen.append(working.problem)
        if len(seen) == 1:
            raise failure()
        return create(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "create_run", failing_once)
    with place.opened() as spool:
        spool.start("abc", "search abc", params={}, tags={})
    working.start()
    until(lambda: working.delivered)
    assert working.close(TIMEOUT)
    assert seen[0] is None
    assert type(failure()).__name__ in seen[1]
    assert "\n" not in seen[1]
    assert (working.problem, working.refused) == (None, 0)
    assert set(place.runs()) == {"search abc"}


def test_somebody_is_told_the_ids_of_runs_that_are_made_and_found(place):
    told = []
    write_study(place)
    assert place.uploader(on_runs=lambda runs: told.append(dict(runs))).start().close(TIMEOUT)
    runs = place.runs()
    names = {"abc": "search abc", "abc/trial 0": "trial 0", "abc/trial 1": "trial 1"}
    assert told == [{key: runs[name].info.run_id for key, name in names.items()}]
    with place.opened() as spool:
        spool.end("abc/trial 1", "FINISHED")
    assert place.uploader(on_runs=lambda runs: told.append(dict(runs))).start().close(TIMEOUT)
    assert told[1] == told[0]


def test_a_listener_that_fails_is_told_again(place):
    told = []

    def listen(runs) -> None:
        told.append(dict(runs))
        if len(told) == 1:
            raise OSError("no room")

    write_study(place)
    working = place.uploader(on_runs=listen).start()
    until(lambda: working.delivered)
    assert working.close(TIMEOUT)
    assert told[0] == told[1]
    assert len(told) == 2
    assert len(place.runs()) == 3


def test_one_process_delivers_a_spool_and_a_second_is_told_which(place):
    """P3: two would make each run twice."""
    write_study(place)
    with (
        another_delivers(place.path) as first,
        pytest.raises(InputError, match=f"is being delivered by process {first} on {socket.gethostname()}"),
    ):
        place.uploader().start()
    place.deliver()
    assert len(place.runs()) == 3
    # One that has closed no longer holds it.
    place.deliver()


def test_to_another_place_than_before_everything_goes(place):
    """A server that was given by mistake, or has lost its store."""
    write_study(place)
    place.deliver()
    other = Place(place.path, place.home, f"{place.experiment} elsewhere")
    with place.opened() as spool:
        spool.end("abc/trial 1", "FINISHED")
    other.deliver()
    assert set(other.runs()) == set(place.runs())
    assert other.refused() == []


def test_there_is_nothing_to_deliver_where_nothing_was_written(place):
    idle = place.uploader().start()
    assert idle.delivered
    assert idle.close(TIMEOUT)
    assert place.client.get_experiment_by_name(place.experiment) is None


def test_a_line_that_is_still_being_written_is_left_for_later(place):
    with place.opened() as spool:
        spool.start("abc", "search abc", params={}, tags={})
    whole = place.path.stat().st_size
    event = {"op": "metrics", "run": "abc", "metrics": {"a": 1.0}, "step": 0, "time": 1_700_000_000_000}
    line = json.dumps(event) + "\n"
    with place.path.open("a") as file:
        file.write(line[:30])
    assert place.deliver().position == whole
    assert place.runs()["search abc"].data.metrics == {}
    with place.path.open("a") as file:
        file.write(line[30:])
    place.deliver()
    assert place.points(place.runs()["search abc"], "a") == [(0, 1.0, 1_700_000_000_000)]


def test_a_delivery_warns_of_what_is_left_and_of_what_was_refused(place, capsys, monkeypatch):
    with delivered(place.path, place.destination) as delivery:
        delivery.spool.metrics("never started", {"a": 1.0}, 0)
    assert (
        f"MLflow refused 1 events of the record; {place.path.with_suffix('.refused.jsonl')}" in capsys.readouterr().err
    )
    monkeypatch.setattr(module, "Experiment", lambda destination, folder: 1 / 0)
    with delivered(place.path, place.destination) as delivery:
        delivery.spool.end("abc", "FINISHED")
        until(lambda: delivery.state["problem"])
        assert delivery.state["depth"] == 1
    warning = capsys.readouterr().err.splitlines()[0]
    assert "ZeroDivisionError" in warning
    assert f"it is kept in {place.path} until fullspectrum sync delivers it" in warning


def test_where_the_record_goes_stands_beside_it_for_its_owner_alone(place):
    """A tracking URI may hold a password."""
    destination = Destination(place.home, "abc", place.experiment, "http://somebody:secret@127.0.0.1:9", {"a": "b"})
    with delivered(place.path, destination, remaining=lambda: 0.0):
        pass
    file = place.path.parent / "record.json"
    assert Destination.read(file, place.home) == destination
    assert str(place.home.path) not in file.read_text()
    assert os.stat(file).st_mode & 0o077 == 0
