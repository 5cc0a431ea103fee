"""`fullspectrum launch`: what is refused in one line before anything starts, and what --dry-run prints."""

import json

import pytest
from fullspectrum.search.cli import main

from ...clusters.targets.fakehead import fake_head

STUDY = 'model = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder and an empty home directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


def refused(capsys, *arguments: str) -> str:
    """The one line on stderr of a command that is a mistake, and starts nothing."""
    assert main(["launch", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if not line.startswith("ships ")]
    assert len(lines) == 1 and lines[0].startswith("fullspectrum: ")
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lokal", "digits"], "unknown cluster 'lokal', did you mean \"local\"?"),
        (["local", "digit"], "unknown study 'digit'"),
        (["local", "digits", "--cluster-set", "head.cpu=2"], "head.cpu"),
        (
            ["local", "digits", "--set", "resources.gpus=0.5"],
            "a trial needs 1 CPU core and 0.5 GPU, which no node of cluster here has (head: 4 CPU cores)",
        ),
        (
            ["local", "digits", "--set", "resources.cpus=64"],
            "a trial needs 64 CPU cores, which no node of cluster here has",
        ),
        (["local", "digits", "--set", "model=nets:tiny"], "there is no module 'nets' in"),
        (["local", "digits", "--set", "data=imagefolder:photos"], "data does not travel"),
        (["local", "digits", "--set", 'search.sources=["file:../masks.safetensors"]'], "lies outside this folder"),
        (
            ["local", "digits", "--set", 'search.sources=["file:masks.safetensors"]'],
            "masks.safetensors: cannot be read",
        ),
        (["local", "digits", "--set", "tracking.storage=postgresql://ada:hunter2@db/x"], "holds a secret"),
        (["local", "digits", "--cluster-set", "secrets.PGPASSWORD=env:NOT_SET_HERE"], "NOT_SET_HERE is not set"),
        (["aws", "digits", "--target", "skypilot"], "--target skypilot is for --dry-run"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_started(folder, capsys, arguments, said):
    line = refused(capsys, *arguments)
    assert said in line and "hunter2" not in line
    assert not (folder / ".fullspectrum" / "here" / "head.json").exists()


def test_a_secret_in_a_study_file_is_refused(folder, capsys):
    (folder / "study.toml").write_text(f'{STUDY}[tracking]\nmlflow = "http://ada:hunter2@mlflow:5000"\n')
    line = refused(capsys, "local", "study.toml")
    assert "hunter2" not in line


def lab(folder, address: str) -> None:
    """Describes a head that stands already, of which nothing else is known."""
    (folder / "token").write_text("right")
    (folder / "token").chmod(0o600)
    (folder / "lab.toml").write_text(
        f'kind = "static"\nname = "lab"\nstorage = "/mnt/shared"\n'
        f'[hosts]\naddress = "{address}"\n[auth]\ntoken_file = "{folder}/token"\n'
    )


def test_a_head_that_does_not_answer_or_refuses_the_token_is_one_line(folder, capsys):
    lab(folder, "http://127.0.0.1:9")
    assert "no Ray head answers at http://127.0.0.1:9" in refused(capsys, "lab.toml", "digits")
    with fake_head("left") as head:
        lab(folder, head.address)
        assert "refuses the token" in refused(capsys, "lab.toml", "digits")
        assert head.jobs == {}


def test_a_study_that_no_node_of_a_running_cluster_can_hold_is_refused(folder, capsys):
    with fake_head("right") as head:
        lab(folder, head.address)
        line = refused(capsys, "lab.toml", "digits", "--set=resources.gpus=1")
        assert "1 GPU, which no node of cluster lab has (10.0.0.1: 4 CPU cores)" in line
        assert head.jobs == {}
        # Where the file says what there may be, it need not be there yet.
        (folder / "lab.toml").write_text((folder / "lab.toml").read_text() + "[[workers]]\ngpus = 1\n")
        assert main(["launch", "lab.toml", "digits", "--set=resources.gpus=1", "--detach"]) == 0


def test_a_job_carries_the_study_its_settings_and_where_its_files_are(folder, capsys):
    (folder / "study.toml").write_text(STUDY)
    with fake_head("right") as head:
        lab(folder, head.address)
        options = ["--cluster-set", "tracking=http://mlflow:5000", "--set", "seed=7", "--detach"]
        assert main(["launch", "lab.toml", "study.toml", *options]) == 0
        ((name, job),) = head.jobs.items()
        assert job["entrypoint"].endswith(
            "python -m fullspectrum.search.cli search study.toml --set=seed=7 "
            "--set=tracking.mlflow=http://mlflow:5000 --home=/mnt/shared --resume"
        )
        assert name == f"fullspectrum-{job['metadata']['studies']}"
        assert len(head.packages) == 2
        again = "lab.toml study.toml --set=seed=7 --cluster-set=tracking=http://mlflow:5000"
        assert f"fullspectrum clusters fetch {again}" in capsys.readouterr().err
        assert job["runtime_env"]["env_vars"]["FULLSPECTRUM_AGAIN"] == f"fullspectrum launch {again}"
        assert main(["clusters", "status", "lab.toml", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["jobs"][0]["id"] == name


def test_where_the_nodes_share_an_object_store_the_files_of_a_study_go_through_it(folder, capsys):
    (folder / "study.toml").write_text(STUDY)
    with fake_head("right") as head:
        lab(folder, head.address)
        stored = ["--cluster-set", "storage=s3://bucket/studies", "--detach"]
        assert main(["launch", "lab.toml", "study.toml", *stored]) == 0
        ((_, job),) = head.jobs.items()
        assert "--set=tracking.files=s3://bucket/studies --home=/tmp/fullspectrum-lab" in job["entrypoint"]


@pytest.mark.parametrize("command", [["status", "local"], ["logs", "local"], ["stop", "local", "digits"]])
def test_a_cluster_that_does_not_run_is_no_traceback(capsys, command):
    status = main(["clusters", *command])
    printed = capsys.readouterr()
    assert (status, "not run" in printed.out) == (0, True) if command[0] == "status" else status == 2
    assert "Traceback" not in printed.err
