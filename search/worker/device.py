"""The processor that a trial or a final training works on."""

import torch

from ...models.errors import InputError
from ..config.study import Resources


def check_resources(resources: Resources, here: bool) -> None:
    """Raise InputError where a Ray on this machine (`here`) has less than a trial is to hold.

    It would wait for ever; a cluster may still grow.
    """
    # Here, because `fullspectrum train` needs no Ray.
    import ray

    if not here:
        return
    available = ray.cluster_resources()
    for setting, asked, present in (
        ("resources.cpus", resources.cpus, available.get("CPU", 0)),
        ("resources.gpus", resources.gpus, available.get("GPU", 0)),
    ):
        if asked > present:
            raise InputError(
                f"{setting} = {asked:g}, but this machine has {present:g}; run on a cluster with --address, "
                f"or lower it with --set {setting}={present:g}"
            )


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
