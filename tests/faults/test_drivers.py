"""Drivers that are killed, asked to leave, started twice, or that find what they left damaged."""

import json
import random
import signal

import pytest
from fullspectrum.search.protocol.outcome import Outcome

from .searches import STUDY, Search

pytestmark = pytest.mark.timeout(300)


def test_a_driver_that_is_killed_at_random_points_is_started_again_and_nothing_is_lost_or_done_twice(
    tmp_path, undisturbed
):
    """P1, P3 (fault 4): three of the points that `tests.benchmarks.kills` tries."""
    search = Search(tmp_path / "killed").start()
    search.kill_drivers(random.Random(4), 3, undisturbed)
    _, err = search.end()
    assert err.count("starting it again") == 3
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()


def test_sigterm_saves_checkpoints_leaves_in_time_and_says_how_to_go_on(tmp_path, undisturbed):
    """P2 (fault 16): as a cluster does that needs the machine, and requeues the command."""
    search = Search(tmp_path / "stopped").start("--resume")
    search.wait(lambda: any(one["iteration"] > 0 for one in search.heartbeat().get("running", [])))
    search.process.terminate()
    out, _ = search.end(status=128 + signal.SIGTERM, seconds=60)
    assert "Go on with:" in out
    assert "--resume" in out
    unfinished = [trial for trial in search.ledger().trials() if trial.outcome is None]
    assert unfinished
    saved = {folder.name for folder in (search.files.path / "checkpoints").iterdir()}
    assert saved >= {f"trial-{trial.number}" for trial in unfinished if trial.measured}
    # The same command again, as the requeued job is.
    search.start("--resume").end()
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()
    assert not (search.files.path / "checkpoints").exists() or not list((search.files.path / "checkpoints").iterdir())


def test_a_second_driver_on_one_study_refuses_and_names_the_first(tmp_path):
    """Faults 15 and 17: also where the same study is submitted twice."""
    search = Search(tmp_path / "study", "search.trials=500", "search.samples_per_trial=1").start()
    driver = search.wait(lambda: search.heartbeat() and search.driver())
    for options in ((), ("--resume",)):
        second = Search(search.folder, "search.trials=500", "search.samples_per_trial=1").start(*options)
        _, err = second.end(status=2)
        (line,) = err.strip().splitlines()
        assert f"is being searched by process {driver} on " in line
    search.process.send_signal(signal.SIGINT)
    search.end(status=130)
    _, err = search.start().end(status=2)
    assert "has been run already" in err


def test_a_study_that_only_fails_stops_at_its_budget_with_the_commonest_reason(tmp_path):
    """Fault 18."""
    code = """
import numpy, torch
class Broken(torch.nn.Sequential):
    def forward(self, x):
        # Not when it is tried before the search: without gradients, or on two images.
        if self.training and torch.is_grad_enabled() and len(x) > 2:
            raise ArithmeticError("the network is broken")
        return super().forward(x)
def network(channels, size, classes):
    return Broken(torch.nn.Flatten(), torch.nn.Linear(channels * size * size, 32), torch.nn.ReLU(),
                  torch.nn.Linear(32, classes))
"""
    study = STUDY.replace("digits_cnn", "broken_code:network").replace("[search]", '[search]\nsources = ["magnitude"]')
    search = Search(tmp_path / "study", "search.trials=500", "gate.quantile=1.0", study=study)
    (search.folder / "broken_code.py").write_text(code)
    _, err = search.start().end(status=1)
    assert "of 10 trials failed; the commonest reason: ArithmeticError: the network is broken" in err
    assert "Traceback" not in err
    trials = search.ledger().trials()
    assert sum(trial.outcome is Outcome.FAILED for trial in trials) >= 10
    assert len(trials) < 30


SPECTRAL = ("warmup.iterations=0", "search.trials=3")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Search:
    """A spectral-only study that ended, to be damaged."""
    search = Search(tmp_path_factory.mktemp("damaged"), *SPECTRAL)
    search.start().end()
    return search


#: The first driver kills itself once Optuna has been told of a trial's end, and before the record is.
_BETWEEN = """
import os, pathlib, signal, sys
from fullspectrum.search.record.recorder import Recorder
told = Recorder.trial_ended
def dying(self, *arguments):
    if not pathlib.Path("died").exists():
        pathlib.Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    told(self, *arguments)
Recorder.trial_ended = dying
from fullspectrum.search.cli import main
sys.exit(main())
"""


def test_a_driver_that_dies_between_optuna_and_mlflow_leaves_a_record_that_is_made_up_for(tmp_path, stopped):
    """P3 (fault 5)."""
    search = Search(tmp_path / "killed", *SPECTRAL).start(program=_BETWEEN)
    _, err = search.end()
    assert "the driver died (SIGKILL); starting it again, 1 of 3" in err
    assert search.state() == stopped.state()
    assert search.runs() == stopped.runs()


@pytest.mark.parametrize("options", [(), ("--resume",)])
def test_a_study_whose_journal_is_gone_is_not_begun_anew_in_silence(stopped, options):
    """P5 (fault 14)."""
    journal = stopped.files.journal
    kept = journal.rename(journal.with_suffix(".kept"))
    try:
        _, err = stopped.start(*options).end(status=2)
        assert "holds 0 trials, but there are files of trial 2" in err
    finally:
        kept.rename(journal)


def test_a_journal_of_which_the_end_is_missing_is_noticed(stopped):
    """P5 (fault 14)."""
    journal = stopped.files.journal
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if b'"distributions"' in line)
    try:
        journal.write_bytes(b"".join(lines[:last]))
        _, err = stopped.start("--resume").end(status=2)
        assert "holds 2 trials, but there are files of trial 2" in err
    finally:
        journal.write_bytes(whole)


def test_a_journal_that_is_damaged_in_the_middle_is_refused_with_the_line(stopped):
    """P5 (fault 14)."""
    journal = stopped.files.journal
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    try:
        journal.write_bytes(b"".join([*lines[:4], lines[4][:20] + b"\n", *lines[5:]]))
        _, err = stopped.start("--resume").end(status=2)
        assert "is damaged: line 5" in err
    finally:
        journal.write_bytes(whole)


def test_what_ray_tune_left_behind_is_never_believed(stopped):
    """P5 (fault 14): a torn snapshot of Tune's own, and one of another run."""
    before = stopped.state()
    folder = stopped.files.path / "tune" / "trials"
    folder.mkdir(parents=True)
    (folder / "experiment_state-2026-11-20_12-00-00.json").write_text('{"trial_data": [["{\\"stub')
    (folder / "searcher-state-torn.pkl").write_bytes(b"\x80\x04")
    stopped.start("--resume").end()
    assert stopped.state() == before
    assert not folder.exists()


def test_a_line_that_a_killed_driver_left_half_written_is_cut_off_and_the_study_goes_on(tmp_path):
    """P1, P3 (faults 4, 9 and 14): what was acknowledged is there, what was not is made again."""
    search = Search(tmp_path / "torn", "warmup.iterations=0", "search.trials=6", "final.top_k=0").start()
    search.wait(lambda: search.journalled('"result"') >= 2)
    search.kill()
    known = {trial.number: trial.result for trial in search.ledger().trials() if trial.outcome}
    with search.files.journal.open("ab") as journal:
        journal.write(b'{"op_code":8,"worker_id":"5d0')
    search.start("--resume").end()
    trials = search.ledger().trials()
    assert [trial.outcome for trial in trials] == [Outcome.FINISHED] * 6
    assert {number: trials[number].result for number in known} == known
    assert all(json.loads(line) for line in search.files.journal.read_text().splitlines())
    search.runs()
