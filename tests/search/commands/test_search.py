"""How a search ends for whoever started it: the exit status, the reason, and the command to go on with."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
import typer
from fullspectrum.search.cli import main
from fullspectrum.search.commands import search as command
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.process import supervisor
from fullspectrum.search.process.link import SupervisorLink
from fullspectrum.search.protocol.label import Label
from fullspectrum.search.report.facts import StudyFacts
from fullspectrum.search.report.leaderboard import Row
from fullspectrum.search.screen import console


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """What runs in the background of a shell ignores Ctrl-C, and so would these tests."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.fixture
def ends(monkeypatch, tmp_path, capsys):
    """Runs `search` on a study that ends as it is told to; returns the exit status and what was printed."""

    def run(*arguments: str, study="digits", raises: BaseException | None = None, **end) -> tuple[int, str, str]:
        def fake(study, home, console, address, resume, listener):
            if raises:
                raise raises
            result = {"remaining": 0, "verdicts": [], "rows": [], "trials": [], "stopped": None, "signal": None}
            result |= {"failure": None, "pareto": [], "folder": StudyFolder(tmp_path), "study": study}
            result["facts"] = StudyFacts(study, end.get("rows", []))
            return SimpleNamespace(**result | end)

        monkeypatch.setattr("fullspectrum.search.study.run_study", fake)
        status = main(["search", study, "--home", str(tmp_path), *arguments])
        return status, *capsys.readouterr()

    return run


def test_a_finished_search(ends):
    status, out, err = ends()
    assert (status, err) == (0, "")
    assert "Next:" in out


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_an_interrupted_search_says_how_to_go_on(ends, tmp_path, number, name):
    status, out, err = ends("--set", "search.trials=20", signal=number, stopped=name, remaining=7)
    assert (status, err) == (128 + number, "")
    line = f"  fullspectrum search digits --set=search.trials=20 --home {tmp_path} --resume"
    assert out.splitlines()[-2:] == ["Interrupted with 7 trials to go. Go on with:", line]


def test_a_search_interrupted_in_full_training_counts_no_trials(ends):
    status, out, _ = ends(signal=signal.SIGINT, stopped="Ctrl-C")
    assert status == 130
    assert "\nInterrupted. Go on with:\n" in out


def test_a_family_is_searched_study_by_study_and_summed_up(ends, monkeypatch):
    winner = Row(Label("trial 3"), "snip", {}, 0.5, 0.5, 0.75, "digest", 3, 100)
    monkeypatch.setattr(command, "_report", lambda *_: None)
    status, out, err = ends("--set", "sparsity=[0.9, 0.5]", "--set", "replicates=2", rows=[winner])
    assert (status, err) == (0, "")
    begun = re.findall(r"^study (\w+): .*sparsity (.*), seed (.*), \d+ trials", out, re.MULTILINE)
    assert [(sparsity, seed) for _, sparsity, seed in begun] == [("0.9", "0"), ("0.9", "1"), ("0.5", "0"), ("0.5", "1")]
    assert len({study for study, _, _ in begun}) == 4
    rows = [line.split() for line in out.splitlines() if "0.7500" in line]
    assert [row[:3] for row in rows] == [[study, f"seed={seed}", sparsity] for study, sparsity, seed in begun]


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(signal.SIGTERM), 143), (KeyboardInterrupt(signal.SIGINT), 130)]
)
def test_a_second_signal_ends_with_the_same_words(ends, raised, status):
    found, out, _ = ends(raises=raised)
    assert found == status
    assert "Interrupted. Go on with:\n  fullspectrum search digits" in out


def test_an_interrupt_by_python_itself_is_ctrl_c(ends):
    assert ends(raises=KeyboardInterrupt())[0] == 130


def test_ctrl_c_as_the_first_line_is_shown_ends_with_the_same_words(ends, monkeypatch):
    """The line is out and its reader awake before `print` returns."""
    print_line = console.print_line

    def interrupted(screen, line=""):
        print_line(screen, line)
        if line.startswith("study "):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(console, "print_line", interrupted)
    status, out, err = ends()
    assert (status, err) == (130, "")
    assert "Interrupted. Go on with:\n  fullspectrum search digits" in out


def test_ctrl_c_before_the_study_is_taken_up_ends_with_the_same_words(ends, monkeypatch):
    monkeypatch.setattr(SupervisorLink, "allow_restarts", lambda *_: signal.raise_signal(signal.SIGINT))
    status, out, _ = ends()
    assert status == 130
    assert "Interrupted. Go on with:\n  fullspectrum search digits" in out


def test_a_search_that_stopped_itself_names_the_reason_and_fails(ends):
    reason = "12 of 20 trials failed; the commonest reason: out of memory"
    status, out, err = ends(stopped=reason, remaining=80, failure="out of memory")
    assert status == 1
    (line,) = err.splitlines()
    assert line.endswith(f" stopped before its end: {reason}")
    assert "Stopped with 80 trials to go. Go on with:\n  fullspectrum search digits" in out


def test_a_search_without_a_result_fails(ends):
    failure = "not one trial came to a result; the commonest reason: no path from the input to an output"
    status, _, err = ends(failure=failure)
    assert (status, err) == (1, f"fullspectrum: {failure}\n")


def test_the_pareto_front_is_named(ends):
    _, out, _ = ends(pareto=["trial 3", "trial 9"])
    assert "No mask is better in every objective than: trial 3, trial 9" in out


def test_a_study_on_stdin_goes_on_from_its_copy_for_the_driver_and_for_whoever_resumes_it(ends, tmp_path, monkeypatch):
    content = b'\xef\xbb\xbfmodel = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    _, out, err = ends("--set", "seed=4", study="-", stopped="Ctrl-C", signal=signal.SIGINT)
    (copy,) = tmp_path.glob("study-*.toml")
    again = f"fullspectrum search {copy} --set=seed=4 --home {tmp_path} --resume"
    assert (out.splitlines()[-1].strip(), err) == (again, "")

    started = []
    monkeypatch.setattr(supervisor, "supervise", lambda command, again: started.append((command, again)) or 0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    arguments = ["search", "-", "--set", "seed=4", "--home", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fullspectrum", *arguments])
    monkeypatch.setattr(sys, "orig_argv", ["python", "fullspectrum", *arguments])
    assert main() == 0
    driver = [sys.executable, "fullspectrum", "search", str(copy), *arguments[2:]]
    assert started == [(driver, again)]


@pytest.mark.parametrize("given", [("--set", "model=\udcff"), ("--home", "a\udcff")])
def test_what_is_no_text_is_refused_in_one_line(ends, given):
    status, out, err = ends(*given)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert "is not UTF-8 text" in line


def test_a_stdout_without_room_is_one_line(monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(typer, "echo", full)
    assert main(["search", "--list-settings"]) == 1
    assert capsys.readouterr().err == "fullspectrum: cannot write: No space left on device\n"


def run_as_a_process(folder, *settings: str) -> tuple[int, list[str], list[str]]:
    """Runs a search as a command line; returns its status, its lines on stderr, and what its processes imported."""
    code = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"
    command = [sys.executable, "-X", "importtime", "-c", code, "search", "digits", *settings]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    imports = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    lines = [line for line in done.stderr.splitlines() if line not in imports]
    return done.returncode, lines, [line.rpartition("|")[2].strip() for line in imports]


@pytest.mark.timeout(120)
def test_the_command_line_of_a_process_is_run_in_another_one(tmp_path):
    """A budget that cannot be met is found by the driver; its status and its line come through."""
    status, lines, loaded = run_as_a_process(tmp_path, "--set", "sparsity=0.9999")
    assert (status, len(lines)) == (2, 1)
    assert "highest sparsity that can be met" in lines[0]
    # By both, with the interpreter's own options; and what is slow by one of them.
    assert loaded.count("fullspectrum.search.cli") == 2
    assert loaded.count("torch") == 1


@pytest.mark.timeout(120)
def test_a_wrong_setting_is_reported_before_another_process_is_started(tmp_path):
    status, lines, loaded = run_as_a_process(tmp_path, "--set", "search.trails=3")
    assert (status, len(lines)) == (2, 1)
    assert 'did you mean "trials"?' in lines[0]
    assert loaded.count("fullspectrum.search.cli") == 1
    assert loaded.count("torch") == 0
