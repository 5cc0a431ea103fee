"""`fullspectrum plan`, on a study that is measured here and on one that has run."""

import json

import pytest
from fullspectrum.search.cli import main

from ..conftest import TINY

CLUSTER = """
kind = "slurm"
name = "campus"

[[workers]]
cpus = 2
most = 2
price = 1.5
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A cluster file, and the tiny study as a file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "campus.toml").write_text(CLUSTER)
    tables = {key: value for key, value in TINY.items() if isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in TINY.items() if key not in tables]
    for table, values in tables.items():
        lines.append(f"[{table}]")
        for key, value in values.items():
            form = value if not isinstance(value, dict) else "{ low = 0.01, high = 0.1, log = true }"
            lines.append(f"{key} = {form if isinstance(value, dict) else json.dumps(value)}")
    (tmp_path / "tiny.toml").write_text("\n".join(lines))
    return tmp_path


def test_a_plan_measures_here_and_says_what_it_assumes(files, capsys):
    assert main(["plan", "campus.toml", "tiny.toml", "--measure", "1"]) == 0
    out = capsys.readouterr().out
    assert "on cluster campus" in out and "times of 1 trials on this machine's CPU" in out
    for name in ("time", "GPU hours", "node hours", "money", "disk"):
        assert f"\n  {name}" in out


def test_a_plan_takes_the_times_of_a_study_that_has_run(files, finished, capsys):
    home = finished.folder.path.parent
    given = ["plan", "campus.toml", "tiny.toml", "--home", str(home), "--json"]
    assert main([*given, "--trials-from", finished.study.id, "--boot", "60"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hours"] * 3600 == pytest.approx(sum(found["phases"].values()) * 3600 + 20)
    assert found["assumptions"][0].startswith(f"times of 4 trials of study {finished.study.id}, ")
    assert found["money"] is None and found["gpu_hours"] == 0
    assert 0 < found["node_hours"]["workers"] <= 2 * found["hours"]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--set", "resources.gpus=1"], "a trial needs 1 CPU core and 1 GPU, which no node of cluster campus has"),
        (["--speed", "A100"], "--speed A100: expected TYPE=FACTOR with a factor above 0"),
        (["--speed", "A100=0"], "--speed A100=0: expected TYPE=FACTOR"),
        (["--speed", "A100=2"], "--speed A100=2: cluster campus has no such accelerator; it has none"),
        (["--trials-from", "absent"], "no study 'absent' in "),
        (["--trials-from", "absent", "--measure", "2"], "give one of them"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_line_before_anything_is_measured(files, capsys, given, line):
    assert main(["plan", "campus.toml", "tiny.toml", *given]) == 2
    err = capsys.readouterr().err
    assert line in err and err.count("\n") == 1


def test_a_study_without_timed_trials_says_so(files, finished, capsys, monkeypatch):
    from fullspectrum.search.plan import times

    monkeypatch.setattr(times.Seconds, "TRAINING", "seconds/never-kept")
    given = ["--home", str(finished.folder.path.parent), "--trials-from", finished.study.id]
    assert main(["plan", "campus.toml", "tiny.toml", *given]) == 2
    assert "has no trial that was timed and trained; let it run" in capsys.readouterr().err
