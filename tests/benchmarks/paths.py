"""Seconds to trace a network, and to find the weights on paths of one mask set; one thread.

Run by `make bench`. The baseline is one forward and backward pass of the same network on one image; absolute times
depend on the machine.
"""

import time

import numpy as np
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.guards.counter import PathCounter
from rich.console import Console
from rich.table import Table

from .timing import seconds

NETWORKS = {
    "digits_cnn": Task(1, 8, 10),
    "resnet20": Task(3, 32, 10),
    "vgg16-bn": Task(3, 32, 10),
    "torchvision:resnet50": Task(3, 224, 1000),
    "torchvision:vit_b_16": Task(3, 224, 1000),
    "torchvision:swin_t": Task(3, 224, 1000),
}

SPARSITY = 0.9


def main() -> None:
    torch.set_num_threads(1)
    table = Table("network", "trace s", "one mask set ms", "forward and backward ms", "ratio", "effective sparsity")
    for name, task in NETWORKS.items():
        model = build(name, task, 0)
        weights = prunable(model)
        image = torch.ones(1, task.channels, task.size, task.size)
        generator = np.random.default_rng(0)
        masks = {key: generator.random(tuple(weight.shape)) >= SPARSITY for key, weight in weights.items()}
        begun = time.perf_counter()
        counter = PathCounter(model, task)
        traced = time.perf_counter() - begun
        model.eval()
        passes = seconds(lambda m=model, x=image, w=weights: torch.autograd.grad(m(x).sum(), list(w.values())))
        checked = seconds(lambda c=counter, m=masks: c.paths(m))
        table.add_row(
            name,
            f"{traced:.2f}",
            f"{checked * 1e3:.1f}",
            f"{passes * 1e3:.1f}",
            f"{checked / passes:.2f}",
            f"{counter.check(masks).effective_sparsity:.4f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
