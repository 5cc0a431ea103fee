"""The processor that a trial or a final training works on, and what Ray is asked for it."""

from typing import Any

import torch

from ...models.errors import InputError
from ..config.study import Resources

#: What begins the name of the resource that Ray gives a node for the type of its GPUs.
ACCELERATOR = "accelerator_type:"

#: As Ray itself spells `accelerator_type` in a request: so little that any number of workers shares a node.
_SHARE = 0.001


def bundle(resources: Resources) -> dict[str, float]:
    """Return what a trial with these resources asks of one node, by the names of Ray's resources."""
    asked = {"CPU": float(resources.cpus)}
    if resources.gpus:
        asked["GPU"] = resources.gpus
    if resources.accelerator is not None:
        asked[f"{ACCELERATOR}{resources.accelerator}"] = _SHARE
    return asked


def task_options(resources: Resources) -> dict[str, Any]:
    """Return the options of a remote function of Ray that holds these resources."""
    accelerator = {} if resources.accelerator is None else {"accelerator_type": resources.accelerator}
    return {"num_cpus": resources.cpus, "num_gpus": resources.gpus, **accelerator}


def check_resources(resources: Resources, here: bool) -> None:
    """Raise InputError where a Ray on this machine (`here`) has less than a trial is to hold.

    It would wait for ever; a cluster may still grow, see `awaited`.
    """
    # Here, because `fullspectrum train` needs no Ray.
    import ray

    if not here:
        return
    available = ray.cluster_resources()
    for setting, asked, present in (
        ("resources.cpus", resources.cpus, available.get("CPU", 0)),
        ("resources.scoring_cpus", resources.scoring_cpus or 0, available.get("CPU", 0)),
        ("resources.gpus", resources.gpus, available.get("GPU", 0)),
    ):
        if asked > present:
            raise InputError(
                f"{setting} = {asked:g}, but this machine has {present:g}; run on a cluster with --address, "
                f"or lower it with --set {setting}={present:g}"
            )
    if resources.accelerator is not None and f"{ACCELERATOR}{resources.accelerator}" not in available:
        types = sorted(name.removeprefix(ACCELERATOR) for name in available if name.startswith(ACCELERATOR))
        raise InputError(
            f'resources.accelerator = "{resources.accelerator}", but this machine has {", ".join(types) or "none"}; '
            "run on a cluster with --address, or leave it out"
        )


def awaited(resources: Resources) -> str | None:
    """Return a line that says what a cluster without a node for a trial has to grow by; None where one fits."""
    import ray

    asked, nodes = bundle(resources), [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= much for name, much in asked.items()) for node in nodes):
        return None
    parts = [f"{resources.cpus} CPU core{'' if resources.cpus == 1 else 's'}"]
    if resources.gpus:
        parts.append(f"{resources.gpus:g} {resources.accelerator or 'GPU'}")
    elif resources.accelerator:
        parts.append(f"a {resources.accelerator}")
    return f"no node of the cluster has {' and '.join(parts)} yet; trials wait until one joins"


def claim_device(resources: Resources) -> str:
    """Bound this process to its CPU cores; return "cuda" where a share of a GPU was asked for, else "cpu".

    Raises InputError where a GPU was asked for and torch sees none: training on the CPU in its place would take days.
    """
    torch.set_num_threads(resources.cpus)
    if resources.gpus == 0:
        return "cpu"
    if not torch.cuda.is_available():
        raise InputError(
            f"resources.gpus = {resources.gpus:g}, but torch sees no GPU here; lower it with --set resources.gpus=0"
        )
    return "cuda"
