"""A head that stands already: reached by its address, and neither started nor ended."""

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.job import Job
from fullspectrum.clusters.spec.cluster import Cluster
from fullspectrum.clusters.targets.registry import target_of

from .fakehead import fake_head

JOB = Job("fullspectrum-0123456789ab", ["true"])


def target(tmp_path, address: str, **settings):
    (tmp_path / "token").write_text("right")
    (tmp_path / "token").chmod(0o600)
    described = {"kind": "static", "name": "lab", "hosts": {"address": address}, "storage": "/mnt/shared"}
    described |= {"auth": {"token_file": str(tmp_path / "token")}} | settings
    said: list[str] = []
    made = target_of(Cluster.model_validate(described), said.append)
    made.said = said
    return made


def test_it_takes_jobs_and_is_not_ended(tmp_path):
    with fake_head("right") as head:
        lab = target(tmp_path, head.address)
        lab.check(JOB)
        lab.up()
        assert lab.submit(JOB).id == JOB.name
        assert lab.job(JOB.name) is not None
        assert lab.home(tmp_path) == "/mnt/shared"
        with pytest.raises(ClusterError, match="was not started by `launch`"):
            lab.down()
        assert lab.said == []


def test_a_head_without_a_token_is_a_warning(tmp_path):
    with fake_head(None) as head:
        lab = target(tmp_path, head.address)
        lab.check(JOB)
        assert "asks for no token" in lab.said[0]


def test_secrets_that_cannot_reach_nodes_that_run_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    with fake_head("right") as head:
        lab = target(tmp_path, head.address, secrets={"PGPASSWORD": "env:PGPASSWORD"})
        with pytest.raises(ClusterError, match="start them with PGPASSWORD set") as caught:
            lab.check(JOB)
        assert "hunter2" not in str(caught.value)


def test_without_storage_the_nodes_have_no_folder_in_common(tmp_path):
    with fake_head("right") as head, pytest.raises(ClusterError, match="cluster 'lab' has no storage"):
        target(tmp_path, head.address, storage=None).home(tmp_path)
