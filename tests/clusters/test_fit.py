"""What a job asks for, and what nodes have."""

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.fit import check_fits, check_holds
from fullspectrum.clusters.spec.cluster import Cluster


def cluster(head: dict | None = None, workers: list[dict] | None = None) -> Cluster:
    described = {"kind": "static", "name": "lab", "hosts": {"address": "http://10.0.0.1:8265"}}
    described |= {"head": head} if head else {}
    return Cluster.model_validate(described | ({"workers": workers} if workers else {}))


@pytest.mark.parametrize(("cpus", "gpus"), [(8, 0), (2, 0.25), (2, 1), (2, 2)])
def test_what_one_node_holds_fits(cpus, gpus):
    check_fits(cluster(workers=[{"name": "cpu", "cpus": 8}, {"name": "gpu", "cpus": 2, "gpus": 2}]), cpus, gpus)


@pytest.mark.parametrize(
    ("cpus", "gpus", "said"),
    [
        (16, 0, "resources.cpus = 16, but the most that a node of cluster 'lab' has is 8"),
        (1, 4, "resources.gpus = 4, but the most that a node of cluster 'lab' has is 2"),
        (8, 0.5, "no node of cluster 'lab' has both"),
    ],
)
def test_what_no_node_holds_is_refused(cpus, gpus, said):
    with pytest.raises(ClusterError, match=said):
        check_fits(cluster(workers=[{"name": "cpu", "cpus": 8}, {"name": "gpu", "cpus": 2, "gpus": 2}]), cpus, gpus)


def test_a_gpu_on_a_cluster_without_is_refused_with_the_way_out():
    with pytest.raises(ClusterError, match=r"no node of cluster 'lab' has a GPU; .*set resources\.gpus=0$"):
        check_fits(cluster(workers=[{"cpus": 8}]), 1, 0.1)


def test_a_head_that_runs_no_trials_does_not_count():
    with pytest.raises(ClusterError, match=r"resources\.cpus = 16"):
        check_fits(cluster({"cpus": 64}, [{"cpus": 8}]), 16, 0)
    check_fits(cluster({"cpus": 64, "trials": True}, [{"cpus": 8}]), 16, 0)


def test_a_cluster_that_runs_already_and_is_not_described_is_asked_itself():
    check_fits(cluster(), 64, 8)
    with pytest.raises(ClusterError, match="has a GPU"):
        check_holds("lab", [(4, 0)], 1, 1)
    check_holds("lab", [(4, 0), (4, 1)], 4, 0.5)
