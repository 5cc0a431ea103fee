"""Passes through the network and seconds that each source takes to score it, against one pass of SNIP.

Run by `python -m tests.benchmarks.sources`: some minutes. Passes are counted, and a matter of the source alone; ratios
compare two measurements of this run; absolute times depend on the machine.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.sources import Setting, source_called
from rich.console import Console
from rich.table import Table
from torch import nn

CIFAR = Task(3, 32, 10)

#: Rounds, by source. A round of iterative SNIP is a pass of SNIP: three of them tell what a hundred cost.
ROUNDS = {"snip": 1, "magnitude": 1, "grasp": 1, "synflow": 100, "iterative-snip": 3}


def noise() -> Data:
    """Images of noise, of CIFAR's size: what they show takes no time."""
    generator = np.random.default_rng(0)
    labels = np.arange(200) % CIFAR.classes
    images = generator.integers(0, 256, (len(labels), CIFAR.channels, CIFAR.size, CIFAR.size), dtype=np.uint8)
    return Data.from_arrays("noise", {"train": (images, labels), "test": (images, labels)})


@contextlib.contextmanager
def counted(model: nn.Module) -> Iterator[Counter]:
    """Counts calls of `model`, or of its copies, and of the automatic differentiation."""
    passes, grad = Counter(), torch.autograd.grad

    def counted_grad(*arguments, **options):
        passes["backward"] += 1
        return grad(*arguments, **options)

    hook = model.register_forward_pre_hook(lambda *_: passes.update(forward=1))
    torch.autograd.grad = counted_grad
    try:
        yield passes
    finally:
        torch.autograd.grad = grad
        hook.remove()


def main() -> None:
    """Measures and prints one table for each network."""
    data = noise()
    for network in ("resnet20", "vgg16-bn"):
        model = build(network, CIFAR, 0)
        size = Setting(model, data, 1).size
        title = f"{network} ({size:,} weights), 10 images a class, threads: {torch.get_num_threads()}"
        table = Table(title=title, title_justify="left")
        for heading in ("source", "rounds", "forward", "backward", "seconds", "SNIP passes"):
            table.add_column(heading, justify="left" if heading == "source" else "right")
        seconds = {}
        for name, rounds in ROUNDS.items():
            setting = Setting(model, data, size // 20, rounds=rounds, sparsity=0.95)
            with counted(model) as passes:
                begun = time.perf_counter()
                source_called(name).scores(setting, 0)
                seconds[name] = time.perf_counter() - begun
            counts = str(passes["forward"]), str(passes["backward"])
            ratio = seconds[name] / seconds["snip"]
            table.add_row(name, str(rounds), *counts, f"{seconds[name]:.2f}", f"{ratio:.2f}")
        Console().print(table)


if __name__ == "__main__":
    main()
