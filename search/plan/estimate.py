"""What a search on a cluster would take, with what that assumes."""

import copy
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from ...clusters.spec.cluster import Cluster
from ..files import JsonObject
from .disk import Disk
from .machines import check_room, machines_of
from .simulation import Overheads, Simulation, node_seconds
from .times import Times
from .workload import Workload

#: Simulations, each with other trials past the gate; the median of them is told, and their range.
_RUNS = 9


@dataclass(frozen=True)
class Estimate:
    """What a search on a cluster would take."""

    seconds: float
    """From its start to its end."""
    least: float
    most: float
    """The range of `seconds` over simulations that differ in which trials pass."""
    phases: Mapping[str, float]
    """Seconds by phase."""
    gpu_hours: float
    """Hours of GPUs, as far as they are held by trials and trainings."""
    node_hours: Mapping[str, float]
    """Hours for which nodes are there, by group."""
    money: float | None
    """Their price; None where a group that is used has none."""
    disk: Disk
    assumptions: tuple[str, ...]
    """What it takes for granted, in sentences."""

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return {
            "hours": self.seconds / 3600,
            "hours_range": [self.least / 3600, self.most / 3600],
            "phases": {name: seconds / 3600 for name, seconds in self.phases.items()},
            "gpu_hours": self.gpu_hours,
            "node_hours": dict(self.node_hours),
            "money": self.money,
            "disk_bytes": self.disk.total,
            "disk_bytes_for_a_while": self.disk.passing,
            "assumptions": list(self.assumptions),
        }


def estimate(
    cluster: Cluster, work: Workload, times: Times, overheads: Overheads, speeds: Mapping[str, float]
) -> Estimate:
    """Return what the search of `work` takes on a cluster.

    Raises ClusterError where no node holds a trial, and for the speed of an accelerator that the cluster lacks.
    """
    machines = machines_of(cluster, speeds)
    check_room(cluster, machines, work.study.resources)
    runs = []
    for seed in range(_RUNS):
        own = copy.deepcopy(machines)
        runs.append((Simulation(work, times, own, overheads, seed), own))
    lengths = [run.seconds for run, _ in runs]
    typical, used = min(runs, key=lambda run: abs(run[0].seconds - statistics.median(lengths)))
    idle = cluster.idle_minutes * 60
    hours: dict[str, float] = {}
    money: float | None = 0.0
    for machine in used:
        paid = node_seconds(machine, typical.seconds, idle) / 3600
        hours[machine.group] = hours.get(machine.group, 0.0) + paid
        if paid and money is not None:
            money = None if machine.node.price is None else money + paid * machine.node.price
    slots = sum(machine.trainings(work.study.resources) for machine in machines)
    return Estimate(
        typical.seconds,
        min(lengths),
        max(lengths),
        typical.phases,
        typical.worked * work.study.resources.gpus / 3600,
        hours,
        money,
        Disk.of(work, times.trial_bytes, min(slots, work.study.search.max_concurrent)),
        _assumptions(cluster, work, times, overheads, speeds, slots),
    )


def _assumptions(
    cluster: Cluster, work: Workload, times: Times, overheads: Overheads, speeds: Mapping[str, float], slots: int
) -> tuple[str, ...]:
    study = work.study
    seconds = [one for each in times.scoring.values() for one in each]
    at_once = min(slots, study.search.max_concurrent)
    trained = sum(iterations > 0 for iterations in work.reached(0))
    finished = sum(iterations == study.warmup.iterations > 0 for iterations in work.reached(0))
    fast = ", ".join(f"{name} is {factor:g} times as fast" for name, factor in speeds.items())
    lines = [
        (
            f"times of {times.origin}: {statistics.mean(seconds):.3g} s for the candidates of a trial, "
            f"{times.iteration * 1000:.3g} ms for an iteration, {times.validation:.3g} s for a validation"
        ),
        f"{fast or 'every node is as fast'} as where they were measured (--speed)",
        (
            f"{at_once} trials train at once: the cluster holds {slots}, search.max_concurrent = "
            f"{study.search.max_concurrent}"
        ),
        (
            f"{trained} of {len(work.trials)} trials pass the gate (quantile {study.gate.quantile:g}, control "
            f"{study.gate.control:g}) and {finished} all rungs, whoever they are; none fails or diverges"
        ),
        "groups are drawn as by a sampler that learns nothing",
        (
            f"a node takes {overheads.boot:g} s to boot (--boot), a worker {overheads.start:g} s to start, the driver "
            f"{overheads.driver:g} s to begin and to end"
        ),
    ]
    if any(group.spot for group in cluster.workers):
        lines.append("spot nodes are never taken back")
    if any(trial.steps for trial in work.trials):
        lines.append("an iteration of a source's rounds takes as long as one of the warm-up")
    unpriced = [group.name for group in cluster.workers if group.price is None]
    if unpriced:
        lines.append(f"no price is known of {', '.join(unpriced)} (price in the cluster file)")
    return tuple(lines)
