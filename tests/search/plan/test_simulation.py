"""Plans against closed forms: one worker takes the sum, equal trials on m workers take as many rounds as they need."""

import math
from collections import Counter

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.spec.cluster import Cluster
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.plan.estimate import estimate
from fullspectrum.search.plan.machines import check_room, machines_of
from fullspectrum.search.plan.pool import Pool
from fullspectrum.search.plan.simulation import Overheads, Simulation, node_seconds
from fullspectrum.search.plan.times import Times
from fullspectrum.search.plan.workload import TrialWork, Workload
from fullspectrum.search.sampling.distribution import Group

NOTHING = Overheads(boot=0.0, start=0.0, driver=0.0)
GROUP = Group("random", 0, "erk")
#: Scores in 3 s, an iteration in 0.1 s, a validation in nothing.
TIMES = Times({"random": [3.0], "imp": [3.0]}, 0.1, 0.0, 1e4, "a test")


def cluster(**settings) -> Cluster:
    """A cluster of workers with four cores and, where asked for, GPUs."""
    workers = [{"name": "workers", "cpus": 4, "least": 1, "most": 1, **settings}]
    return Cluster.model_validate({"kind": "slurm", "name": "test", "workers": workers, "idle_minutes": 10.0})


def work(trials: int = 8, steps: int = 0, **tables) -> Workload:
    """A study whose every trial passes and warms up for 100 iterations, which takes 10 s; no full training."""
    defaults = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "search": {"trials": trials, "max_concurrent": 64},
        "gate": {"quantile": 1.0},
        "warmup": {"iterations": 100, "early_stopping": False},
        "final": {"top_k": 0},
    }
    study = parse(defaults | tables)
    source = "imp" if steps else "random"
    return Workload(study, [TrialWork(source, GROUP, 0, steps)] * trials, 1000, max(study.pretraining.each), 1000, 800)


def simulated(load: Workload, described: Cluster, overheads: Overheads = NOTHING, speeds=None) -> Simulation:
    return Simulation(load, TIMES, machines_of(described, speeds or {}), overheads, 0)


@pytest.mark.parametrize("workers", [1, 3, 4, 16])
@pytest.mark.parametrize("trials", [1, 8, 33])
def test_equal_trials_take_as_many_rounds_as_the_workers_need(workers, trials):
    load = work(trials, resources={"cpus": 4})
    found = simulated(load, cluster(least=workers, most=workers))
    assert found.seconds == pytest.approx(13.0 * math.ceil(trials / workers))
    assert found.worked == pytest.approx(13.0 * trials)


def test_no_more_trials_run_at_once_than_the_study_lets():
    load = work(8, search={"trials": 8, "max_concurrent": 2})
    assert simulated(load, cluster()).seconds == pytest.approx(13.0 * 4)


def test_a_worker_starts_once_and_a_node_boots_once():
    load, overheads = work(8), Overheads(boot=100.0, start=5.0, driver=2.0)
    # Four at a time; the node is there from the beginning, and boots only where it is not.
    assert simulated(load, cluster(), overheads).seconds == pytest.approx(2 + 5 + 26)
    assert simulated(load, cluster(least=0), overheads).seconds == pytest.approx(2 + 100 + 5 + 26)


def test_a_node_that_is_twice_as_fast_takes_half_the_time():
    load = work(8, resources={"cpus": 1, "gpus": 1.0})
    described = cluster(gpus=4, accelerator="A100")
    assert simulated(load, described, speeds={"A100": 2.0}).seconds == pytest.approx(13.0)


def test_fractions_of_a_gpu_share_it():
    load = work(8, resources={"cpus": 1, "gpus": 0.5})
    assert simulated(load, cluster(gpus=2)).seconds == pytest.approx(2 * 13.0)
    # A share of more than half leaves the rest of each GPU idle.
    load = work(8, resources={"cpus": 1, "gpus": 0.6})
    assert simulated(load, cluster(gpus=2)).seconds == pytest.approx(4 * 13.0)


def test_scores_of_a_source_that_trains_are_computed_once_and_waited_for():
    # 200 steps are 20 s. All four workers wait for them, then the second round finds them there.
    assert simulated(work(8, steps=200), cluster()).seconds == pytest.approx(20 + 2 * 13)


def test_scoring_apart_holds_the_gpu_for_the_training_alone():
    resources = {"cpus": 4, "gpus": 1.0}
    both = [{"name": "gpu", "cpus": 4, "gpus": 1, "least": 1}, {"name": "cpu", "cpus": 4, "least": 1}]
    described = Cluster.model_validate({"kind": "slurm", "name": "test", "workers": both})
    whole = simulated(work(8, resources=resources), described)
    apart = simulated(work(8, resources=resources | {"scoring_cpus": 4}), described)
    assert (whole.seconds, whole.worked) == (pytest.approx(8 * 13.0), pytest.approx(8 * 13.0))
    # The first is scored before any trains.
    assert (apart.seconds, apart.worked) == (pytest.approx(3 + 8 * 10.0), pytest.approx(8 * 10.0))


def test_every_phase_takes_its_part():
    load = work(4, pretraining={"iterations": 50}, final={"top_k": 2, "epochs": 1}, resources={"cpus": 4})
    found = simulated(load, cluster())
    # Two finalists and two baselines; then three checks, and random masks for the cost of the winner.
    expected = {"dense pretraining": 5.0, "trials": 52.0, "full training": 400.0, "checks of the winner": 400.0}
    assert found.phases == pytest.approx(expected)
    assert found.seconds == pytest.approx(sum(expected.values()))


def test_as_many_trials_pass_gate_and_rungs_as_the_study_lets():
    tables = {
        "gate": {"quantile": 0.4, "control": 0.2},
        "warmup": {"iterations": 90, "grace_period": 30, "reduction_factor": 3.0},
    }
    counts = Counter(work(1000, **tables).reached(0))
    # Binomial with standard deviation below 16; four of them.
    assert abs(1000 - counts[0] - 520) < 64
    # A third of those that trained goes on; ties and the first few aside.
    assert abs(counts[90] - (1000 - counts[0]) / 3) < 50
    assert counts.keys() == {0, 30, 90}


def test_a_node_is_paid_until_it_has_been_idle_for_long_enough():
    (head, always, other) = machines_of(cluster(least=1, most=2), {})
    other.wanted, other.busy = 100.0, 400.0
    assert node_seconds(always, 5000.0, 600.0) == node_seconds(head, 5000.0, 600.0) == 5000.0
    assert node_seconds(other, 5000.0, 600.0) == 900.0
    assert node_seconds(other, 500.0, 600.0) == 400.0


def test_money_is_the_price_of_the_hours_that_nodes_are_there():
    load = work(360, resources={"cpus": 4})
    described = Cluster.model_validate(
        {
            "kind": "slurm",
            "name": "test",
            "head": {"cpus": 4, "price": 1.0},
            "workers": [{"cpus": 4, "least": 1, "most": 1, "price": 2.0}],
        }
    )
    found = estimate(described, load, TIMES, NOTHING, {})
    hours = 360 * 13 / 3600
    assert found.money == pytest.approx(3 * hours)
    assert found.node_hours == pytest.approx({"head": hours, "workers": hours})
    assert found.disk.trials == 360 * 1e4
    # Without the price of one nothing is known.
    assert estimate(cluster(), load, TIMES, NOTHING, {}).money is None


@pytest.mark.parametrize(
    ("resources", "needed"),
    [
        ({"cpus": 8}, "8 CPU cores"),
        ({"gpus": 1.0}, "1 CPU core and 1 GPU,"),
        ({"gpus": 1.0, "accelerator": "H100"}, "1 CPU core and 1 GPU of type H100"),
    ],
)
def test_a_cluster_that_cannot_hold_one_trial_is_refused(resources, needed):
    study = work(resources=resources).study
    with pytest.raises(ClusterError, match=f"a trial needs {needed}.*which no node of cluster test has .*4 CPU cores"):
        check_room(cluster(), machines_of(cluster(), {}), study.resources)


def test_the_first_free_worker_takes_the_next_piece_of_work():
    (machine,) = machines_of(cluster(), {})[1:]
    pool = Pool([machine, machine])
    assert [pool.takes(0.0, seconds) for seconds in (5.0, 1.0, 1.0, 4.0)] == [5.0, 1.0, 2.0, 6.0]
    assert machine.busy == 6.0
