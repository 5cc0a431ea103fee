"""What the spool holds: every event once, whoever tells it how often, and whole lines only."""

import json
import resource
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fullspectrum.search.record.spool import Spool, position_file, undelivered
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "spool.jsonl"


def written(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ops(path: Path) -> list[str]:
    return [event["op"] for event in written(path)]


def tell(spool: Spool, files: Path, stop_after: int = 99) -> None:
    """All that is told of a small study, in order; only the first steps of it."""
    table = files / "table.json"
    table.write_text("{}")
    steps = [
        lambda: spool.start("s/0", "trial 0", params={"seed": 1}, tags={"kind": "trial"}, parent="s", attempt=1),
        lambda: spool.artifact("s/0", table),
        lambda: spool.tags("s/0", {"gate": "passed"}),
        lambda: spool.metrics("s/0", {"a": 0.5, "b": 1.0}, 0),
        lambda: spool.metrics("s/0", {"a": 0.75}, 50),
        lambda: spool.start("s/0", "trial 0", params={"seed": 1}, tags={"kind": "trial"}, parent="s", attempt=2),
        lambda: spool.metrics("s/0", {"a": 0.875}, 100),
        lambda: spool.end("s/0", "FINISHED"),
    ]
    for step in steps[:stop_after]:
        step()


@given(dead_after=st.integers(0, 8), torn=st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_told_again_after_a_crash_anywhere_every_event_is_there_once(dead_after, torn, tmp_path_factory):
    """P3: a driver that dies anywhere, and one that tells everything again, leave what one alone would have."""
    folder = tmp_path_factory.mktemp("spool")
    with closing(Spool(folder / "whole.jsonl")) as spool:
        tell(spool, folder)
    with closing(Spool(folder / "spool.jsonl")) as spool:
        tell(spool, folder, dead_after)
    with (folder / "spool.jsonl").open("a") as file:
        file.write('{"op": "metrics", "run": "s/0", "metrics": {"a":'[:torn])
    with closing(Spool(folder / "spool.jsonl")) as spool:
        # What led to the end is not asked for again by those who see that it has ended.
        if not spool.ended("s/0"):
            tell(spool, folder)

    def without_times(path: Path) -> list[dict]:
        return [{key: value for key, value in event.items() if key != "time"} for event in written(path)]

    assert without_times(folder / "spool.jsonl") == without_times(folder / "whole.jsonl")


def test_the_same_driver_tells_nothing_twice(path, tmp_path):
    with closing(Spool(path)) as spool:
        tell(spool, tmp_path, 5)
        before = written(path)
        tell(spool, tmp_path, 5)
    assert written(path) == before


def test_the_time_of_an_event_is_that_of_its_first_telling(path, tmp_path):
    with closing(Spool(path)) as spool:
        spool.metrics("s/0", {"a": 1.0}, 0)
    first = written(path)
    with closing(Spool(path)) as spool:
        spool.metrics("s/0", {"a": 1.0}, 0)
        spool.metrics("s/0", {"a": 1.0, "b": 2.0}, 0)
    assert written(path)[:1] == first
    assert [event["metrics"] for event in written(path)] == [{"a": 1.0}, {"b": 2.0}]


def test_only_a_later_attempt_opens_a_run_again_and_only_an_open_one_ends(path):
    with closing(Spool(path)) as spool:
        for attempt in (1, 1, 2, 1):
            spool.start("s/0", "trial 0", params={}, tags={}, attempt=attempt)
        assert not spool.ended("s/0")
        spool.end("s/0", "FINISHED")
        spool.end("s/0", "FINISHED")
        assert spool.ended("s/0")
    with closing(Spool(path)) as spool:
        assert spool.ended("s/0")
        spool.start("s/0", "trial 0", params={}, tags={}, attempt=2)
        spool.start("s/0", "trial 0", params={}, tags={}, attempt=3)
        assert not spool.ended("s/0")
        spool.end("s/0", "FAILED")
    assert ops(path) == ["start", "start", "end", "start", "end"]


def test_a_run_without_attempts_is_opened_anew_and_told_what_is_another_now(path):
    for best in (0.5, 0.5, 0.75):
        with closing(Spool(path)) as spool:
            spool.start("s", "search s", params={}, tags={"note": "begun"})
            spool.metrics("s", {"best": best}, 0)
            spool.tags("s", {"note": "begun"})
            spool.end("s", "FINISHED")
    assert ops(path) == ["start", "metrics", "end", "start", "end", "start", "metrics", "end"]


def test_an_ended_run_still_takes_what_comes_after_its_end_once(path):
    with closing(Spool(path)) as spool:
        spool.start("s/0", "trial 0", params={}, tags={}, attempt=1)
        spool.metrics("s/0", {"a": 0.5}, 500)
        spool.end("s/0", "FINISHED")
    for _ in range(2):
        with closing(Spool(path)) as spool:
            spool.metrics("s/0", {"accuracy/val_final": 0.75}, 20)
            spool.metrics("s/0", {"accuracy/val_final": 0.875}, 40)
            spool.tags("s/0", {"final": "finished"})
    assert ops(path) == ["start", "metrics", "end", "metrics", "metrics", "tags"]


def test_runs_are_found_by_a_tag_that_they_have_last(path):
    with closing(Spool(path)) as spool:
        spool.tags("s/0", {"pareto": "true"})
        spool.tags("s/1", {"pareto": "true"})
        spool.tags("s/0", {"pareto": "false"})
    with closing(Spool(path)) as spool:
        assert spool.tagged("pareto", "true") == ["s/1"]


def test_a_file_is_named_from_the_folder_of_the_spool_on_and_only_if_it_is_there(path, tmp_path):
    with closing(Spool(path)) as spool:
        spool.artifact("s/0", tmp_path / "error.txt")
        (tmp_path / "error.txt").write_text("oh")
        spool.artifact("s/0", tmp_path / "error.txt")
    assert [event["path"] for event in written(path)] == ["error.txt"]


def test_a_number_that_is_not_finite_is_never_written_as_one(path):
    with closing(Spool(path)) as spool:
        spool.start("abc", "search abc", params={"temperature": float("inf")}, tags={})
        spool.metrics("abc", {}, 0)
        spool.tags("abc", {})
    assert ops(path) == ["start"]
    assert "Infinity" not in path.read_text()


def test_a_line_torn_by_a_crash_spoils_nothing_that_follows(path):
    with closing(Spool(path)) as spool:
        spool.start("abc", "search abc", params={}, tags={})
    with path.open("a") as file:
        file.write('{"op": "end", "run": "ab')
    with closing(Spool(path)) as spool:
        spool.metrics("abc", {"a": 2.0}, 1)
    assert ops(path) == ["start", "metrics"]


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: what does not fit is cut off in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_there_is_no_room_the_file_stays_valid_and_the_event_can_be_told_later(path):
    """Half of fault 9: what could not be written whole is not there at all."""
    with closing(Spool(path)) as spool:
        spool.metrics("abc", {"a": 1.0}, 0)
        before = path.read_bytes()
        with room(len(before) + 20), pytest.raises(OSError):
            spool.metrics("abc", {"a": 2.0}, 1)
        assert path.read_bytes() == before
        spool.metrics("abc", {"a": 2.0}, 1)
    assert [event["metrics"] for event in written(path)] == [{"a": 1.0}, {"a": 2.0}]


def test_events_of_several_threads_do_not_mix(path):
    with closing(Spool(path)) as spool:
        threads = [
            threading.Thread(target=lambda i=i: [spool.metrics(f"run {i}", {"a" * 500: 1.0}, s) for s in range(20)])
            for i in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = written(path)
    assert len(events) == 80
    for i in range(4):
        assert [event["step"] for event in events if event["run"] == f"run {i}"] == list(range(20))


def test_what_is_not_delivered_is_counted_in_whole_events(path):
    assert undelivered(path) == 0
    with closing(Spool(path)) as spool:
        for step in range(3):
            spool.metrics("abc", {"a": 1.0}, step)
    assert undelivered(path) == 3
    first = path.read_text().index("\n") + 1
    position_file(path).write_text(str(first))
    assert undelivered(path) == 2
    with path.open("a") as file:
        file.write('{"op": "end"')
    assert undelivered(path) == 2
    # A spool that is shorter than what was delivered is another one: all of it is new.
    position_file(path).write_text("9999999")
    assert undelivered(path) == 3
