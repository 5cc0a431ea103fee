"""How a search ends for whoever started it: the exit status, the reason, and the command to go on with."""

import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.files import StudyFolder


@pytest.fixture
def ends(monkeypatch, tmp_path, capsys):
    """Runs `search` on a study that ends as it is told to; returns the exit status and what was printed."""

    def run(*arguments: str, raises: BaseException | None = None, **end) -> tuple[int, str, str]:
        def fake(study, home, console, address, resume):
            if raises:
                raise raises
            result = {"remaining": 0, "verdicts": [], "rows": [], "trials": [], "stopped": None, "signal": None}
            result |= {"failure": None, "pareto": [], "folder": StudyFolder(tmp_path), "study": study}
            return SimpleNamespace(**result | end)

        monkeypatch.setattr("fullspectrum.search.study.run_study", fake)
        status = main(["search", "digits", "--home", str(tmp_path), *arguments])
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


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt(signal.SIGTERM), 143), (KeyboardInterrupt(signal.SIGINT), 130)]
)
def test_a_second_signal_ends_with_the_same_words(ends, raised, status):
    found, out, _ = ends(raises=raised)
    assert found == status
    assert "Interrupted. Go on with:\n  fullspectrum search digits" in out


def test_an_interrupt_by_python_itself_is_ctrl_c(ends):
    assert ends(raises=KeyboardInterrupt())[0] == 130


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


@pytest.mark.timeout(120)
def test_the_command_line_of_a_process_is_run_in_another_one(tmp_path):
    """A study that cannot be read is found by the driver; its status and its line come through."""
    code = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"
    command = [sys.executable, "-X", "importtime", "-c", code, "search", "digits", "--set", "search.trails=3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert len(lines) == 1
    assert 'did you mean "trials"?' in lines[0]
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    # By both, with the interpreter's own options; and what is slow by one of them.
    assert loaded.count("fullspectrum.search.cli") == 2
    assert loaded.count("torch") == 1
