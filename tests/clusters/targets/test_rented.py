"""Clusters of `ray up`: exactly what is run, with a `ray` that notes it and a head behind its tunnel."""

import json
from pathlib import Path

import pytest
import yaml
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.spec.reading import load_cluster
from fullspectrum.clusters.targets.registry import target_of

from . import fakehead
from .programs import FakeProgram

JOB = Job("fullspectrum-0123456789ab", ["python", "-m", "fullspectrum.search.cli"], ["0123456789ab"])

#: `ray up` makes a machine; `ray dashboard` is the tunnel to its head.
_RAY = """
up = {up!r}
def option(name):
    return next(each.partition("=")[2] for each in arguments if each.startswith(name + "="))
if arguments[0] == "up":
    open(up, "w").close()
elif arguments[0] == "down":
    os.unlink(up)
elif not os.path.exists(up):
    sys.exit("Head node of cluster (fs) not found!")
elif arguments[0] == "dashboard":
    os.execv(sys.executable, [sys.executable, {head!r}, option("--port"), {token!r}, {record!r}])
"""


@pytest.fixture(params=["aws", "gcp", "static"])
def target(request, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    # A secret that the examples name.
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    said: list[str] = []
    cluster = load_cluster(request.param)
    made = target_of(cluster, said.append)
    made.said = said
    made.record = tmp_path / "jobs.json"
    token = str(tmp_path / ".fullspectrum" / f"{cluster.name}.token")
    body = _RAY.format(up=str(tmp_path / "up"), head=fakehead.__file__, token=token, record=str(made.record))
    made.ray = FakeProgram(tmp_path, "ray", body, monkeypatch)
    return made


def test_a_cluster_is_started_once_and_takes_jobs_through_a_tunnel(target, tmp_path):
    assert not target.status().running
    assert target.ray.calls == []
    target.check(JOB)
    file = tmp_path / ".fullspectrum" / target.cluster.name / "cluster.yaml"
    assert yaml.safe_load(file.read_text())["cluster_name"] == target.cluster.name
    assert (tmp_path / ".fullspectrum" / f"{target.cluster.name}.token").stat().st_mode & 0o777 == 0o600
    target.up()
    assert target.ray.calls[-1] == ["up", "--yes", str(file)]
    assert not target.submit(JOB).already
    assert json.loads(target.record.read_text())[JOB.name]["entrypoint"].endswith(" ".join(JOB.command))
    tunnel = target.ray.calls[-1]
    assert tunnel[0] == "dashboard" and tunnel[2:] == ["--remote-port=8265", str(file)]
    # It answers, and `ray up` would end what runs on it.
    target.up()
    assert [call[0] for call in target.ray.calls].count("up") == 1
    assert [node.name for node in target.status().nodes] == ["10.0.0.1"]
    assert "hunter2" not in file.read_text() + target.record.read_text() + str(target.ray.calls)
    target.down()
    assert target.ray.calls[-1] == ["down", "--yes", str(file)]
    assert not target.status().running


def test_what_ray_says_when_it_fails_is_one_line(target, tmp_path, monkeypatch):
    FakeProgram(tmp_path, "ray", "sys.exit('no credentials\\n')", monkeypatch)
    target.check(JOB)
    with pytest.raises(ClusterError, match=r"^`ray up --yes` fails: exit status 1$"):
        target.up()


def test_without_ray_nothing_is_started(target, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(Path(tmp_path, "python")))
    with pytest.raises(ClusterError, match="ray is not on the PATH"):
        target.check(JOB)
