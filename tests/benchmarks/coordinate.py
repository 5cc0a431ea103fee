"""Seconds and memory of the coordinate against named baselines in the same run; one thread unless said.

Run by `python -m tests.benchmarks.coordinate [TABLE]…`, TABLE one of baselines, sizes, threads; all by default.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from fullspectrum.spectral.biadjacency import bipartite_graph
from fullspectrum.spectral.coordinate import full_spectrum
from fullspectrum.spectral.layer import LayerSpectrum
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from .networks import masks, shapes, weights

SIZES = (
    ("resnet34", 0.0),
    ("resnet34", 0.8),
    ("resnet34", 0.9),
    ("resnet34", 0.95),
    ("resnet34", 0.98),
    ("resnet34", 0.99),
    ("resnet50", 0.95),
    ("vgg16", 0.95),
    ("vit_b_16", 0.95),
)
CLASSES = {"resnet34": 10}


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """The fewest seconds of `work` over `repeats`: what other programs add is left out."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def baselines() -> Table:
    """All four components against one spectrum by ARPACK, and against LAPACK for each graph, on ResNet-34 at 95 %."""
    layers = shapes("resnet34", classes=10)
    values, kept = weights(layers), masks(layers, 0.95)
    patterns = [sparse.csr_array(mask.reshape(len(mask), -1).T.astype(np.float64)) for mask in kept.values()]
    ours, bare = [], []
    for _ in range(5):  # in turns, so that both see the same machine
        ours.append(seconds(lambda: full_spectrum(kept, values, threads=1), 1))
        bare.append(seconds(lambda: [svds(pattern, k=2) for pattern in patterns], 1))
    graphs = [LayerSpectrum(bipartite_graph(mask, values[name]), mask.size, True) for name, mask in kept.items()]
    matrices = [matrix for graph in graphs for matrix in graph.matrices()]
    plain = sum(_plain_seconds(matrix) for matrix in matrices)

    table = Table(title=f"ResNet-34, {sum(m.size for m in kept.values()):,} weights, 95 % ERK-random, one thread")
    for heading in ("", "seconds", "ratio", "target"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("svds(k=2) of M alone, for each layer", f"{min(bare):.3f}", "1", "")
    table.add_row(
        "all four components of every layer", f"{min(ours):.3f}", f"{min(ours) / min(bare):.2f}", "<= 3, aim 1.5"
    )
    table.add_row(
        f"numpy.linalg.svd, each of {len(matrices)} graphs",
        f"{plain:.1f}",
        f"{plain / min(ours):.0f} x ours",
        ">= 20 x",
    )
    return table


def _plain_seconds(matrix) -> float:
    dense = np.array(matrix) if isinstance(matrix, np.ndarray) else matrix.toarray()
    return seconds(lambda: np.linalg.svd(dense, compute_uv=False), 1)


def sizes() -> Table:
    """Seconds and peak memory by sparsity and network, each in a process of its own."""
    table = Table(title="One thread. Memory: the peak, over that of weights and masks")
    for heading in ("network", "sparsity", "weights", "kept", "seconds", "ns/kept", "memory"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name, sparsity in SIZES:
        command = [sys.executable, "-m", "tests.benchmarks.coordinate", "measure", name, str(sparsity)]
        size, edges, elapsed, memory = map(float, subprocess.check_output(command, text=True).split())
        table.add_row(
            name,
            f"{sparsity:g}",
            f"{size / 1e6:.1f} M",
            f"{edges / 1e6:.2f} M",
            f"{elapsed:.2f}",
            f"{1e9 * elapsed / edges:.0f}",
            f"{memory:.2f}",
        )
    return table


def measure(name: str, sparsity: str) -> None:
    """Prints weights, kept weights, seconds and the peak memory of one evaluation."""
    layers = shapes(name, CLASSES.get(name, 1000))
    small = {"layer": (40, 90)}
    full_spectrum(masks(small, 0.5), weights(small), threads=1)  # what the libraries set up once
    before = _memory("VmRSS")
    values, kept = weights(layers), masks(layers, float(sparsity))
    begun = time.perf_counter()
    full_spectrum(kept, values, threads=1)
    elapsed = time.perf_counter() - begun
    inputs = sum(array.nbytes for table in (values, kept) for array in table.values())
    peak = _memory("VmHWM")
    edges = sum(int(np.count_nonzero(mask)) for mask in kept.values())
    print(sum(mask.size for mask in kept.values()), edges, elapsed, (peak - before) / inputs)


def _memory(field: str) -> int:
    """Bytes of this process: VmRSS what it holds, VmHWM the most it held."""
    # Not getrusage, whose peak is that of the parent process where it was higher.
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


def threads() -> Table:
    """Two threads against one."""
    table = Table(title="one and two threads")
    for heading in ("network", "one thread", "two threads", "ratio", "target"):
        table.add_column(heading, justify="left" if heading == "network" else "right")
    for name in ("resnet34", "resnet50"):
        layers = shapes(name, CLASSES.get(name, 1000))
        values, kept = weights(layers), masks(layers, 0.95)
        times: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(5):
            for count, found in times.items():
                found.append(seconds(partial(full_spectrum, kept, values, threads=count), 1))
        one, two = (min(found) for found in times.values())
        table.add_row(name, f"{one:.3f} s", f"{two:.3f} s", f"{one / two:.2f}", ">= 1.7")
    return table


TABLES = {"baselines": baselines, "sizes": sizes, "threads": threads}


def main() -> None:
    """Measures and prints the tables."""
    if sys.argv[1:2] == ["measure"]:
        with threadpool_limits(1):
            measure(*sys.argv[2:])
        return
    with threadpool_limits(1):
        for name in sys.argv[1:] or TABLES:
            Console().print(TABLES[name]())


if __name__ == "__main__":
    main()
