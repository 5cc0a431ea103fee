"""Rendering to a batch script of Slurm.

All that is particular to a search stands in the first lines, as values; `job.sh` beside this file follows as it is.
"""

import math
import shlex
from collections.abc import Mapping
from importlib import resources
from typing import Any

from ..errors import ClusterError
from ..job import Job
from ..spec.cluster import Cluster
from ..spec.nodes import Node
from ..spec.places import Slurm
from ..validation.mistake import DocumentError
from ..validation.sbatch import check_options
from .environment import RAY_SETTINGS
from .merge import merged
from .rendered import Rendered
from .sbatchoptions import option_lines

#: Seconds by which Slurm may send a signal too early.
_RESOLUTION = 60

#: The share of a node's memory that Ray's object store may take: masks and weights travel as files.
_STORE_SHARE = 0.15


def job_folder(cluster: Cluster, name: str) -> str:
    """Return the folder of a submission on the storage: its script, its log, its token, what travels with it.

    Raise ClusterError where the nodes have no such folder.
    """
    return f"{storage_folder(cluster)}/jobs/{name}"


def package_folder(cluster: Cluster, job: Job) -> str | None:
    """Return the folder on the storage that our package is unpacked into, one for each content of it."""
    return f"{storage_folder(cluster)}/packages/{job.wheel.stem}" if job.wheel else None


def storage_folder(cluster: Cluster) -> str:
    """Return the folder that all nodes see. Raise ClusterError where the cluster has none."""
    storage = cluster.storage
    if storage is None or not storage.startswith("/"):
        raise ClusterError(
            f"storage = {storage!r}: expected a folder that the nodes and this machine see, as a job of Slurm has its "
            'script, its log and its token there; as in storage = "/scratch/me/searches"'
        )
    return storage.rstrip("/")


def render_slurm(cluster: Cluster, job: Job) -> Rendered:
    """Return the batch script of a job. Raise ClusterError for what a batch job cannot be, and for unknown options."""
    try:
        check_options(cluster.overrides)
    except DocumentError as error:
        raise DocumentError(["overrides", *error.place], error.reason) from None
    options = merged(_options(cluster, job), cluster.overrides)
    if options["requeue"] is False:
        # Sites may begin jobs again by default.
        options["no-requeue"] = True
    body = resources.files(__package__).joinpath("job.sh").read_text(encoding="utf-8")
    lines = [
        "#!/bin/bash",
        f"# A search on the Slurm cluster {cluster.name}, as `fullspectrum launch` submits it.",
        *option_lines(options),
        "",
        "# Dollar signs in single quotes are to stay.",
        "# shellcheck disable=SC2016",
        *_values(cluster, job),
        "",
        "# What the cluster file says under [slurm] setup: it runs first on each node.",
        "# shellcheck disable=SC1090,SC1091",
        "setup() {",
        *(f"  {line}" for line in _settings(cluster).setup or [":"]),
        "}",
        "",
        body,
    ]
    return Rendered({"job.sh": "\n".join(lines)})


def _settings(cluster: Cluster) -> Slurm:
    return cluster.slurm or Slurm()


def _options(cluster: Cluster, job: Job) -> dict[str, Any]:
    """Return the options of sbatch by name."""
    node = _node(cluster)
    folder, settings = job_folder(cluster, job.name), _settings(cluster)
    options: dict[str, Any] = {
        "job-name": job.name,
        # Of the same name and user there is one at a time.
        "dependency": "singleton",
        "nodes": _nodes(cluster),
        "ntasks-per-node": 1,
        "cpus-per-task": node.cpus,
    }
    if node.gpus:
        # Slurm's names of types are mostly in small letters.
        kind = f"{node.accelerator.lower()}:" if node.accelerator else ""
        options["gpus-per-node"] = f"{kind}{node.gpus}"
    if node.memory_gib:
        options["mem"] = f"{node.memory_gib}G"
    if settings.partition:
        options["partition"] = settings.partition
    if settings.account:
        options["account"] = settings.account
    leave = math.ceil(job.grace_seconds) + _RESOLUTION
    if cluster.deadline_hours:
        minutes = math.ceil(cluster.deadline_hours * 60)
        if minutes * 60 <= 2 * leave:
            raise ClusterError(
                f"deadline_hours = {cluster.deadline_hours:g}: a search asks for {leave} s of that to leave in good "
                f"order; expected more than {2 * leave / 3600:.2g}"
            )
        options["time"] = f"{minutes // 60}:{minutes % 60:02}:00"
    options |= {
        "signal": f"B:TERM@{leave}",
        "requeue": cluster.retries > 0,
        # The search goes on without a node that was lost, unless it is its own.
        "no-kill": True,
        "open-mode": "append",
        # Slurm takes a percent sign for one of its own.
        "output": f"{folder}/log".replace("%", "%%"),
    }
    return options


def _values(cluster: Cluster, job: Job) -> list[str]:
    """Return the lines of the shell that hold what is particular to a search, each a value in quotes."""
    node, folder = _node(cluster), job_folder(cluster, job.name)
    package = package_folder(cluster, job)
    work = f"{folder}/input"
    on_head = cluster.trials_on_head
    values: dict[str, Any] = {
        "folder": folder,
        "work": work if job.folder else folder,
        "cpus": node.cpus,
        "gpus": node.gpus,
        "head_cpus": node.cpus if on_head else 0,
        "head_gpus": node.gpus if on_head else 0,
        "grace": math.ceil(job.grace_seconds),
        "retries": cluster.retries,
    }
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    memory = int(node.memory_gib * 2**30 * _STORE_SHARE) if node.memory_gib else None
    lines.append(f"memory_options=({f'--object-store-memory={memory}' if memory else ''})")
    lines.append(f"command=({shlex.join(job.command)})")
    lines += [f"export {name}={shlex.quote(value)}" for name, value in _environment(cluster, job).items()]
    places = [place for place in (package, work if job.folder else None) if place]
    if places:
        # In front of what the nodes have, so that they run what was launched.
        lines.append(f'export PYTHONPATH={shlex.quote(":".join(places))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    return lines


def _environment(cluster: Cluster, job: Job) -> Mapping[str, str]:
    return {"RAY_USAGE_STATS_ENABLED": "0", **RAY_SETTINGS, **cluster.environment, **job.environment}


def _node(cluster: Cluster) -> Node:
    """Return what each node has. Raise ClusterError where nodes differ, as those of one batch job are alike."""
    if cluster.image:
        raise ClusterError(
            f"image = {cluster.image!r}: a batch job of Slurm runs on the nodes as they are; leave image out, and let "
            "[slurm] setup bring Python and the packages into the PATH"
        )
    if len(cluster.workers) > 1:
        names = ", ".join(group.name for group in cluster.workers)
        raise ClusterError(f"workers: {names}: the nodes of one batch job are alike; describe one group of [[workers]]")
    if not cluster.workers:
        return cluster.head
    group = cluster.workers[0]
    for name in ("cpus", "gpus", "memory_gib", "accelerator"):
        given, wanted = getattr(cluster.head, name), getattr(group, name)
        if cluster.head.trials and given != wanted:
            raise ClusterError(
                f"head.{name} = {given!r}, but {wanted!r} of workers {group.name!r}: the nodes of one batch job are "
                "alike; describe the head as its workers, or let it run no trials (head.trials = false)"
            )
    return group


def _nodes(cluster: Cluster) -> str:
    """Return how many nodes a job asks for, that of the head included."""
    if not cluster.workers:
        return "1"
    least, most = 1 + cluster.workers[0].least, 1 + cluster.workers[0].most
    return str(most) if least == most else f"{least}-{most}"
