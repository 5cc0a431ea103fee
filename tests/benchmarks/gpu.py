"""Seconds of the coordinate on a GPU against all cores of the CPU, in the same run.

Run by `python -m tests.benchmarks.gpu`. Weights are on the GPU before, masks are arrays of numpy, as the search draws
them: moving those there is part of the time.
"""

import time
from collections.abc import Callable

import torch
from fullspectrum.spectral.coordinate import Coordinate, full_spectra
from fullspectrum.spectral.evaluation import usable_cores
from fullspectrum.spectral.layer import FIELDS
from rich.console import Console
from rich.table import Table

from .networks import masks, shapes, weights

NETWORKS = {"resnet34": 10, "resnet50": 1000, "vgg16": 1000}
SPARSITY = 0.95
CANDIDATES = (1, 8)
REPEATS = 3


def seconds(work: Callable[[], list[Coordinate]]) -> tuple[float, list[Coordinate]]:
    """The fewest seconds of `work`, what the GPU has still to do included, and what it returns."""
    times = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        found = work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times), found


def difference(some: list[Coordinate], others: list[Coordinate]) -> float:
    """The largest relative difference of a component's mean over the layers."""
    pairs = [(one.mean(field), other.mean(field)) for one, other in zip(some, others, strict=True) for field in FIELDS]
    return max(abs(one - other) / abs(other) for one, other in pairs)


def main() -> None:
    """Measures and prints the table; one line where there is no GPU."""
    if not torch.cuda.is_available():
        print("no GPU: nothing measured")
        return
    cores = f"{usable_cores()} cores"
    table = Table(title=f"{torch.cuda.get_device_name()}, {100 * SPARSITY:g} % ERK-random", title_justify="left")
    table.add_column("network", no_wrap=True)
    for heading in ("candidates", "GPU", cores, "ratio", "difference", "memory"):
        table.add_column(heading, justify="right")
    for name, classes in NETWORKS.items():
        layers = shapes(name, classes)
        on_host = weights(layers)
        on_gpu = {layer: torch.tensor(array, device="cuda") for layer, array in on_host.items()}
        full_spectra([masks(layers, SPARSITY)], on_gpu)  # what the libraries set up once
        for count in CANDIDATES:
            candidates = [masks(layers, SPARSITY, seed) for seed in range(count)]
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            there, found = seconds(lambda candidates=candidates, held=on_gpu: full_spectra(candidates, held))
            peak = torch.cuda.max_memory_allocated() - before
            here, expected = seconds(lambda candidates=candidates, held=on_host: full_spectra(candidates, held))
            table.add_row(
                name,
                str(count),
                f"{there:.3f} s",
                f"{here:.3f} s",
                f"{here / there:.1f}",
                f"{difference(found, expected):.0e}",
                f"{peak / 2**30:.2f} GiB",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
