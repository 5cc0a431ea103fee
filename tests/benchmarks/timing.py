"""How long a piece of work takes."""

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """Median seconds of `work` over `repeats`, after one call that does not count."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
