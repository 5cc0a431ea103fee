"""The processor that a trial or a final training works on."""

import torch

from .config import Resources


def claim_device(resources: Resources) -> str:
    """Bounds this process to its CPU cores; returns "cuda" where a share of a GPU was asked for, else "cpu".

    Raises RuntimeError where a GPU was asked for and torch sees none: training on the CPU in its place would take days.
    """
    torch.set_num_threads(resources.cpus)
    if resources.gpus == 0:
        return "cpu"
    if not torch.cuda.is_available():
        raise RuntimeError(f"resources.gpus = {resources.gpus:g}, but torch sees no GPU here")
    return "cuda"
