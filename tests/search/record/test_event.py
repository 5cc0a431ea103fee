"""The events of a record: each has one line in the spool, and comes back from it."""

import json

import pytest
from fullspectrum.search.record.event import Artifact, End, Metrics, Start, Tags, from_line, to_line

LINES = {
    b'{"op": "start", "run": "s/trial 0", "name": "trial 0", "parent": "s", "params": {"seed": "1"}, '
    b'"tags": {"kind": "trial"}, "attempt": 2, "time": 1700000000000}\n': Start(
        "s/trial 0", "trial 0", "s", {"seed": "1"}, {"kind": "trial"}, 2, 1_700_000_000_000
    ),
    b'{"op": "metrics", "run": "s", "metrics": {"accuracy/val": 0.5}, "step": 50, "time": 1700000000000}\n': Metrics(
        "s", {"accuracy/val": 0.5}, 50, 1_700_000_000_000
    ),
    b'{"op": "tags", "run": "s", "tags": {"gate": "passed"}, "time": 1700000000000}\n': Tags(
        "s", {"gate": "passed"}, 1_700_000_000_000
    ),
    b'{"op": "artifact", "run": "s", "path": "/a/mask.safetensors", "time": 1700000000000}\n': Artifact(
        "s", "/a/mask.safetensors", 1_700_000_000_000
    ),
    b'{"op": "end", "run": "s", "status": "FINISHED", "time": 1700000000000}\n': End(
        "s", "FINISHED", 1_700_000_000_000
    ),
}


@pytest.mark.parametrize(("line", "event"), LINES.items())
def test_an_event_has_one_line_which_spools_on_disks_have_already(line, event):
    assert to_line(event) == line
    assert from_line(line) == event


def test_a_start_of_a_spool_from_before_there_were_attempts_has_none():
    values = {"op": "start", "run": "s", "name": "s", "parent": None, "params": {}, "tags": {}, "time": 1}
    assert from_line(json.dumps(values).encode()) == Start("s", "s", None, {}, {}, None, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"\0\0\0\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b'{"op": "rename", "run": "s", "time": 1}\n',
        b'{"op": ["end"], "run": "s", "status": "FINISHED", "time": 1}\n',
        b'{"op": "end", "run": "s", "time": 1}\n',
        b'{"op": "end", "run": "s", "status": "FINISHED"}\n',
        b'{"op": "end", "run": "s", "status": "FINISHED", "colour": "red", "time": 1}\n',
    ],
)
def test_a_line_that_holds_no_event_gives_none(line):
    assert from_line(line) is None


def test_an_event_has_the_time_at_which_it_was_made():
    first, second = End("s", "FINISHED"), End("s", "FINISHED")
    assert 1_700_000_000_000 < first.time <= second.time < 10_000_000_000_000


def test_a_number_that_is_not_finite_is_null():
    assert b'"metrics": {"a": null}' in to_line(Metrics("s", {"a": float("nan")}, 0, 1))
