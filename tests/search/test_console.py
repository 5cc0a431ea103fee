"""What is printed for the user: nothing is lost by it, and nothing lands where it does not belong."""

import io
import os
import sys

import pytest
from fullspectrum.search.console import lose_nothing, warn


@pytest.mark.parametrize(
    ("encoding", "printed"), [("ascii", b"?r ? 1 ? trial"), ("latin-1", b"?r \xb1 1 ? trial"), ("utf-8", None)]
)
def test_stdout_replaces_what_its_encoding_does_not_have(monkeypatch, encoding, printed):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    lose_nothing()
    print("Δr ± 1 … trial", end="", flush=True)
    assert stdout.buffer.getvalue() == (printed or "Δr ± 1 … trial".encode())


def test_a_stdout_that_is_closed_or_somebodys_own_is_left_as_it_is(monkeypatch):
    for stdout in (None, io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stdout)
        lose_nothing()
        assert sys.stdout is stdout


@pytest.mark.parametrize(("columns", "left"), [("0", None), ("40", "40")])
def test_a_screen_of_no_columns_is_one_of_unknown_width(monkeypatch, columns, left):
    monkeypatch.setenv("COLUMNS", columns)
    lose_nothing()
    assert os.environ.get("COLUMNS") == left


def test_a_warning_without_stderr_does_not_land_on_stdout(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    warn("nobody reads this")
    assert capsys.readouterr().out == ""
