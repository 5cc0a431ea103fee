"""Progress of one long computation, on a terminal and elsewhere."""

import io
from types import SimpleNamespace

import pytest
from fullspectrum.search.screen import stepper as module
from fullspectrum.search.screen.stepper import stepper
from rich.console import Console


@pytest.fixture
def clock(monkeypatch):
    """The stepper's clock, which goes when it is told to."""
    time = SimpleNamespace(now=0.0)
    time.monotonic = lambda: time.now
    monkeypatch.setattr(module, "time", time)
    return time


def told(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_elsewhere_a_line_is_printed_each_time_the_interval_has_passed(clock):
    console = Console(file=io.StringIO(), width=20)
    with stepper("scoring", 6, console) as step:
        for number in range(6):
            clock.now += 0.6 * module.PLAIN_EVERY
            step(f"layer[{number}].weight")
    # The last step ends the work: nothing is left to be told.
    assert told(console) == [
        "scoring: 2 of 6 done (layer[1].weight)",
        "scoring: 4 of 6 done (layer[3].weight)",
    ]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(clock):
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with stepper("scoring", 2, console) as step:
        clock.now += module.PLAIN_EVERY
        step("one")
    assert told(console) == ["scoring: 1 of 2 done (one)"]


def test_a_short_job_says_nothing(clock):
    console = Console(file=io.StringIO())
    with stepper("scoring", 100, console) as step:
        clock.now = 0.9 * module.PLAIN_EVERY
        for number in range(100):
            step(str(number))
    assert told(console) == []


def test_a_terminal_shows_a_bar_with_the_last_step_and_takes_it_away():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with stepper("scoring", 3, console) as step:
        for name in ("one", "two", "[red]three"):
            step(name)
    shown = console.file.getvalue()
    assert "scoring" in shown
    assert "3/3" in shown
    assert "[red]three" in shown
    # The line is erased at the end.
    assert shown.endswith("\x1b[2K")
