"""What every rendering holds: no secret, a token on every node, and the job as it was given."""

import json
import os
import shlex
import stat
import subprocess

import pytest
import yaml
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.rendering import render
from fullspectrum.clusters.rendering.merge import merged
from fullspectrum.clusters.secretfiles import keep_secrets, secret_file, secret_values
from fullspectrum.clusters.spec.reading import load_cluster

from ..jobs import a_job

#: What is rendered, beside Slurm's script: kind, target.
RENDERED = [("static", None), ("aws", None), ("gcp", None), ("kuberay", None), ("aws", "skypilot")]


def documents(name: str, target: str | None = None, *overrides: str, job: Job | None = None) -> list[dict]:
    """The YAML documents of a bundled cluster, overridden."""
    (text, *_) = render(load_cluster(name, overrides), job or a_job(), target).files.values()
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize(("name", "target"), RENDERED)
def test_no_secret_is_rendered(name, target, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    monkeypatch.setenv("MINE", "hunter3")
    cluster = load_cluster(name, ["secrets.PGPASSWORD=env:PGPASSWORD", "secrets.OTHER=env:MINE"])
    text = str(render(cluster, a_job(), target))
    assert "hunter" not in text
    assert "PGPASSWORD" in text and "OTHER" in text


@pytest.mark.parametrize(("name", "target"), RENDERED)
def test_every_node_asks_for_a_token_and_notices_losses_soon(name, target):
    (*_, document) = documents(name, target)
    text = yaml.safe_dump(document)
    if name == "kuberay":
        cluster = document["spec"]["rayClusterSpec"]
        assert cluster["authOptions"] == {"mode": "token"}
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        for group in groups:
            (container,) = group["template"]["spec"]["containers"]
            assert {"name": "RAY_health_check_timeout_ms", "value": "2000"} in container["env"]
    elif target == "skypilot":
        assert document["envs"]["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" in document["run"]
        assert document["envs"]["RAY_health_check_period_ms"] == "1000"
    else:
        for role in ("head", "worker"):
            (started,) = (line for line in document[f"{role}_start_ray_commands"] if "ray start" in line)
            assert "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$HOME/.fullspectrum/token" in started
            assert "chmod 600 ~/.fullspectrum/token" in started
            assert "RAY_health_check_failure_threshold=3" in started
        assert "~/.fullspectrum/token" in document["file_mounts"]
    assert "0.0.0.0" not in text


@pytest.mark.parametrize("name", ["aws", "gcp", "static"])
def test_the_lines_that_start_ray_are_shell(name):
    (document,) = documents(name, None, "environment.ODD=a 'b' $(c) \\\"d", "secrets.OTHER=env:OTHER")
    for role in ("head", "worker"):
        for line in document[f"{role}_start_ray_commands"]:
            subprocess.run(["bash", "-n"], input=line, text=True, check=True)
    (started,) = (line for line in document["head_start_ray_commands"] if "ray start" in line)
    exports = "\n".join(line for line in started.splitlines() if line.startswith("export ODD="))
    seen = subprocess.run(["bash", "-c", f'{exports}\nprintf %s "$ODD"'], capture_output=True, text=True, check=True)
    assert seen.stdout == load_cluster(name, ["environment.ODD=a 'b' $(c) \\\"d"]).environment["ODD"]


def test_the_job_is_the_command_that_was_given_word_by_word(tmp_path):
    job = a_job(tmp_path / "job")
    request = json.loads(render(load_cluster("local"), job).files["job.json"])
    assert shlex.split(request["entrypoint"]) == list(job.command)
    assert request["submission_id"] == job.name
    assert request["runtime_env"] == {"env_vars": {"MINE": "a b"}, "working_dir": str(tmp_path / "job")}


def test_a_deadline_asks_the_job_to_leave_and_counts_as_its_end():
    def code(command: str, hours: float) -> int:
        job = Job("x", ["sh", "-c", command], grace_seconds=5)
        cluster = load_cluster("local", [f"deadline_hours={hours}"])
        line = json.loads(render(cluster, job).files["job.json"])["entrypoint"]
        return subprocess.run(["sh", "-c", line], check=False).returncode

    assert code("exit 7", 1.0) == 7
    assert code("exit 0", 1.0) == 0
    # A second, at least.
    assert code("sleep 30", 1e-6) == 0


def test_trials_keep_off_the_head_unless_it_is_told():
    (document,) = documents("aws")
    assert document["available_node_types"]["head"]["resources"] == {"CPU": 0, "GPU": 0}
    (document,) = documents("aws", None, "head.trials=true")
    assert document["available_node_types"]["head"]["resources"] == {"CPU": 4}
    (_, job) = documents("kuberay")
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    (_, job) = documents("kuberay", None, "head.trials=true")
    assert job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"] == {}


def test_an_autoscaler_that_has_no_pod_yet_knows_the_type_of_the_gpus():
    from ray.autoscaler._private.kuberay.autoscaling_config import _get_ray_resources_from_group_spec

    (_, job) = documents("kuberay", None, "workers.0.accelerator=A100")
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    found = _get_ray_resources_from_group_spec(group, False)
    assert (found["CPU"], found["GPU"], found["accelerator_type:A100"]) == (8, 1, 1)
    assert group["minReplicas"] == 0


def test_a_pod_runs_as_nobody_special():
    (_, job) = documents("kuberay")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
        (shared,) = (volume for volume in pod["volumes"] if volume["name"] == "shared-memory")
        assert shared["emptyDir"]["medium"] == "Memory"


def test_the_files_of_a_job_come_back_out_of_the_config_map(tmp_path):
    job = a_job(tmp_path / "job")
    (tmp_path / "job" / "odd näme.bin").write_bytes(b"\xff\x00")
    (config, document) = documents("kuberay", job=job)
    (volume,) = (
        volume
        for volume in document["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
        if volume["name"] == "job"
    )
    paths = {item["path"]: item["key"] for item in volume["configMap"]["items"]}
    assert set(paths) == {"run.sh", "study/study.toml", "study/mine/net.py", "study/odd näme.bin"}
    assert config["data"][paths["study/mine/net.py"]] == "import torch\n"
    assert paths["study/odd näme.bin"] in config["binaryData"]
    subprocess.run(["bash", "-n"], input=config["data"]["run.sh"], text=True, check=True)


def test_files_that_kubernetes_does_not_take_are_refused(tmp_path):
    job = a_job(tmp_path / "job")
    (tmp_path / "job" / "weights.bin").write_bytes(bytes(1024 * 1024))
    with pytest.raises(ClusterError, match=r"larger than 1 MiB.*weights\.bin"):
        render(load_cluster("kuberay"), job)


def test_a_cluster_that_runs_already_gets_the_job_alone():
    overrides = ["hosts={address='http://10.0.0.1:8265'}", "workers=[]"]
    assert list(render(load_cluster("static", overrides), a_job()).files) == ["job.json"]


def test_a_task_of_skypilot_has_nodes_of_one_kind():
    with pytest.raises(ClusterError, match="has 2 groups of workers; describe one"):
        documents("aws", "skypilot", "workers=[{name='a',machine='c7i.large'},{name='b',machine='c7i.large'}]")


def test_a_task_of_skypilot_brings_its_files(tmp_path):
    job = a_job(tmp_path / "job")
    (task,) = documents("aws", "skypilot", job=job)
    subprocess.run(["bash", "-n"], input=task["run"] + task["setup"], text=True, check=True)
    home = tmp_path / "home"
    (home / ".fullspectrum").mkdir(parents=True)
    (home / ".fullspectrum" / "token").touch()
    subprocess.run(["bash", "-euc", task["setup"]], env={"HOME": str(home), "PATH": os.environ["PATH"]}, check=True)
    assert (home / "fullspectrum-job" / "mine" / "net.py").read_text() == "import torch\n"
    (job.folder / "noise").write_bytes(os.urandom(65536))
    with pytest.raises(ClusterError, match="KiB when they are packed, but a task takes 64 KiB"):
        documents("aws", "skypilot", job=job)


def test_a_kind_is_rendered_to_its_own_targets_only():
    with pytest.raises(ClusterError, match="a cluster of kind kuberay is rendered to kuberay"):
        render(load_cluster("kuberay"), a_job(), "skypilot")


def test_overrides_merge_tables_and_replace_lists():
    document = {"a": {"b": 1, "c": [1, 2]}, "d": 3}
    assert merged(document, {"a": {"c": [3]}, "e": {"f": 1}}) == {"a": {"b": 1, "c": [3]}, "d": 3, "e": {"f": 1}}
    assert document == {"a": {"b": 1, "c": [1, 2]}, "d": 3}


def test_secrets_of_the_environment_are_kept_in_files_of_their_owner(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    (tmp_path / "password").write_text("hunter3\n")
    cluster = load_cluster("aws", ["secrets.OTHER=file:~/password"])
    keep_secrets(cluster)
    path = secret_file(cluster, "PGPASSWORD")
    assert path.read_text() == "hunter2"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["PGPASSWORD"]
    assert secret_values(cluster) == {"PGPASSWORD": "hunter2", "OTHER": "hunter3"}
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(ClusterError, match="PGPASSWORD is not set; export it first"):
        keep_secrets(cluster)
    with pytest.raises(ClusterError, match="cannot read the file: No such file"):
        secret_values(load_cluster("local", ["secrets.OTHER=file:~/none"]))
