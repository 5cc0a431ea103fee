"""Where trials run: scored on nodes without GPUs, trained on those with them, on a cluster of two nodes."""

import io
from collections.abc import Iterator

import psutil
import pytest
import ray
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.study import Resources
from fullspectrum.search.driver import placement as placing
from fullspectrum.search.driver.dispatch import Dispatcher
from fullspectrum.search.driver.placement import Placement
from fullspectrum.search.files import Home
from fullspectrum.search.protocol.proposal import Stage
from fullspectrum.search.protocol.report import Measured, Scored
from fullspectrum.search.study import run_study
from fullspectrum.search.worker.device import awaited, check_resources, task_options
from ray.cluster_utils import Cluster
from ray.tune import PlacementGroupFactory
from rich.console import Console

from ..conftest import candidates_of, tiny_study


def node(name: str, alive: bool = True, **resources: float) -> dict:
    """A node as `ray.nodes` lists it."""
    return {"NodeID": name, "Alive": alive, "Resources": resources}


def placed(monkeypatch, resources: Resources, *nodes: dict) -> Placement:
    monkeypatch.setattr(placing.ray, "nodes", lambda: list(nodes))
    return Placement(resources)


def selector(request: PlacementGroupFactory) -> list[dict[str, str]] | None:
    """The labels by which a request chooses nodes."""
    return request._bound.arguments.get("bundle_label_selector")


TRAINING = Resources(cpus=2, gpus=1.0, accelerator="A100", scoring_cpus=4)


def test_a_training_asks_for_its_gpu_and_a_scoring_for_cores_off_the_nodes_with_gpus(monkeypatch):
    nodes = node("gpu", CPU=32, GPU=4), node("cpu", CPU=8), node("gone", alive=False, CPU=8)
    placement = placed(monkeypatch, TRAINING, *nodes)
    for stage in (Stage.TRAINING, Stage.WHOLE):
        assert placement.of(stage).bundles == [{"CPU": 2.0, "GPU": 1.0, "accelerator_type:A100": 0.001}]
    request = placement.of(Stage.SCORING)
    assert request.bundles == [{"CPU": 4.0}]
    assert selector(request) == [{"ray.io/node-id": "!in(gpu)"}]
    assert placement.scoring_slots() == 2


@pytest.mark.parametrize(
    ("nodes", "slots"),
    [
        # 4 trainings of 2 cores leave 24 of 32.
        ([node("gpu", CPU=32, GPU=4)], 6),
        # Trainings may need them all.
        ([node("gpu", CPU=8, GPU=4)], 0),
        # Too small for a scoring: it does not count.
        ([node("gpu", CPU=12, GPU=4), node("head", CPU=2)], 1),
        ([], 0),
    ],
)
def test_where_every_node_has_gpus_scoring_takes_what_their_trainings_leave(monkeypatch, nodes, slots):
    placement = placed(monkeypatch, TRAINING, *nodes)
    assert placement.scoring_slots() == slots
    assert selector(placement.of(Stage.SCORING)) is None


def test_tasks_ask_for_what_trials_ask_for():
    assert task_options(TRAINING) == {"num_cpus": 2, "num_gpus": 1.0, "accelerator_type": "A100"}
    assert task_options(Resources()) == {"num_cpus": 1, "num_gpus": 0.0}


def test_a_cluster_without_a_node_for_a_trial_is_told_what_it_has_to_grow_by(monkeypatch):
    nodes = [node("head", CPU=4), node("other", CPU=8, GPU=1, **{"accelerator_type:T4": 1})]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    line = "no node of the cluster has 2 CPU cores and 1 A100 yet; trials wait until one joins"
    assert awaited(TRAINING) == line
    nodes.append(node("new", CPU=2, GPU=1, **{"accelerator_type:A100": 1}))
    assert awaited(TRAINING) is None


def test_a_machine_that_cannot_grow_refuses_an_accelerator_that_it_lacks(monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8, "GPU": 1, "accelerator_type:T4": 1})
    with pytest.raises(InputError, match='resources.accelerator = "A100", but this machine has T4; run on a cluster'):
        check_resources(TRAINING, here=True)
    with pytest.raises(InputError, match="resources.scoring_cpus = 9, but this machine has 8"):
        check_resources(Resources(gpus=1.0, scoring_cpus=9), here=True)


# A real cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[str, dict[int, str]]]:
    """The address of a head without cores, a node of one core, and one of one core and a declared GPU."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = {
        "cpu": made.add_node(num_cpus=1),
        "gpu": made.add_node(num_cpus=1, num_gpus=1, resources={"accelerator_type:T4": 1}),
    }
    made.wait_for_nodes()
    yield made.address, {one.all_processes["raylet"][0].process.pid: name for name, one in nodes.items()}
    made.shutdown()


@pytest.mark.timeout(240)
def test_trials_are_scored_without_a_gpu_and_trained_with_one_to_the_same_end(cluster, tmp_path, monkeypatch, finished):
    address, raylets = cluster
    take, places = Dispatcher.report, set()

    def report(self, number, attempt, reports, worker, iteration=0):
        above = {process.pid for process in psutil.Process(worker.pid).parents()}
        (name,) = (raylets[pid] for pid in raylets.keys() & above)
        places.update((type(one), name) for one in reports)
        return take(self, number, attempt, reports, worker, iteration)

    monkeypatch.setattr(Dispatcher, "report", report)
    # The type of GPU, and no GPU: torch sees none here, and would refuse one.
    study = tiny_study("resources.accelerator='T4'", "resources.scoring_cpus=1")
    result = run_study(study, Home(tmp_path), Console(file=io.StringIO()), address)
    assert places >= {(Scored, "cpu"), (Measured, "gpu")}
    assert not places & {(Scored, "gpu"), (Measured, "cpu")}
    ends = [
        [(trial.outcome, trial.result, trial.proposal.attempt) for trial in each.trials] for each in (result, finished)
    ]
    assert ends[0] == ends[1]
    assert candidates_of(result) == candidates_of(finished)
