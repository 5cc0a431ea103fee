"""KubeRay: exactly what kubectl is given, with a kubectl that notes it and answers as Kubernetes does."""

import base64
import json

import pytest
import yaml
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.jobs import Phase
from fullspectrum.clusters.spec.reading import load_cluster
from fullspectrum.clusters.targets.registry import target_of

from .programs import FakeProgram

NAME = "fullspectrum-0123456789ab"

#: `get` answers with the documents of a file by kind; all else is only noted.
_KUBECTL = """
documents = json.load(open({answers!r}))
if arguments[0] == "get" and "--output=json" in arguments:
    found = documents.get(arguments[1], [])
    named = [each for each in found if each["metadata"]["name"] == arguments[2]]
    print(json.dumps(named[0] if named else {{"items": found}}))
elif arguments[0] == "logs":
    print("what it printed")
"""


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    made = target_of(load_cluster("kuberay", ["secrets.PGPASSWORD=env:PGPASSWORD"]))
    answers = tmp_path / "answers.json"
    answers.write_text("{}")
    made.kubectl = FakeProgram(tmp_path, "kubectl", _KUBECTL.format(answers=str(answers)), monkeypatch)
    made.answer = lambda **documents: answers.write_text(json.dumps(documents))
    return made


@pytest.fixture
def job(tmp_path) -> Job:
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "study.toml").write_text("model = 'digits_cnn'\n")
    return Job(NAME, ["python", "-m", "fullspectrum.search.cli"], ["0123456789ab"], tmp_path / "job")


def ray_job(name: str, state: str, **status: str) -> dict:
    return {"metadata": {"name": name}, "status": {"jobDeploymentStatus": state, **status}}


def test_a_job_is_applied_with_its_files_and_secrets_and_no_secret_is_in_a_command(target, job):
    target.check(job)
    assert target.kubectl.calls[-1][:2] == ["get", "rayjobs.ray.io"]
    target.up()
    assert target.submit(job).id == NAME
    secret, applied = target.kubectl.texts
    assert base64.b64decode(json.loads(secret)["data"]["PGPASSWORD"]) == b"hunter2"
    kinds = {document["kind"]: document for document in yaml.safe_load_all(applied)}
    assert kinds["RayJob"]["metadata"]["name"] == NAME
    assert "hunter2" not in applied
    assert "hunter2" not in json.dumps(target.kubectl.calls)
    namespace = f"--namespace={target.cluster.kubernetes.namespace}"
    assert all(namespace in call for call in target.kubectl.calls)


def test_a_job_that_runs_is_not_applied_again_and_one_that_ended_is_under_the_next_number(target, job):
    target.answer(**{"rayjobs.ray.io": [ray_job(NAME, "Running")]})
    assert target.submit(job).already
    assert target.kubectl.texts == []
    target.answer(**{"rayjobs.ray.io": [ray_job(NAME, "Failed")]})
    assert target.submit(job).id == f"{NAME}-2"
    assert f"name: {NAME}-2" in target.kubectl.texts[-1]


def test_pods_and_jobs_are_told(target):
    limits = {"limits": {"cpu": "8", "nvidia.com/gpu": "1", "memory": "4Gi"}}
    pod = {"metadata": {"name": "w"}, "spec": {"containers": [{"resources": limits}]}, "status": {"phase": "Running"}}
    running = ray_job(NAME, "Running", rayClusterName="ray", startTime="2026-11-01T00:00:00Z")
    target.answer(**{"rayjobs.ray.io": [running], "pods": [pod]})
    seen = target.status()
    assert seen.running and seen.nodes[0].resources == {"CPU": 8.0, "GPU": 1.0}
    (state,) = seen.jobs
    assert (state.phase, state.studies) == (Phase.RUNNING, ("0123456789ab",))
    assert "".join(target.logs(NAME, follow=True)) == "what it printed\n"
    assert "--follow" in target.kubectl.calls[-1]


def test_a_search_is_asked_to_leave_on_its_head(target):
    pod = {"metadata": {"name": "head"}, "spec": {"containers": [{}]}}
    running = ray_job(NAME, "Running", rayClusterName="ray", jobId="job-x")
    target.answer(**{"rayjobs.ray.io": [running], "pods": [pod]})
    assert target.stop(NAME)
    assert target.kubectl.calls[-1][:7] == ["exec", "pod/head", "--", "ray", "job", "stop", "job-x"]


def test_a_cluster_is_taken_down_by_its_label(target):
    target.down()
    (call,) = target.kubectl.calls
    label = f"--selector=fullspectrum/cluster={target.cluster.name}"
    assert call[:3] == ["delete", "rayjobs.ray.io,configmaps,secrets", label]


def test_a_cluster_that_kubectl_does_not_reach_is_one_line(target, job, tmp_path, monkeypatch):
    FakeProgram(tmp_path, "kubectl", "sys.exit('The connection to the server was refused')", monkeypatch)
    with pytest.raises(ClusterError, match=r"`kubectl get rayjobs\.ray\.io` fails: The connection to the server was"):
        target.check(job)
