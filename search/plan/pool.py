"""A pool of workers that take one piece of work after the other: the first free one takes the next."""

import heapq
from collections.abc import Callable, Sequence

from .machines import Machine


class Pool:
    """Workers, each on a machine; a piece of work goes to the one that can begin it first.

    Time is in seconds from the start of the search. A machine that is not always there is asked for when its first
    piece of work could begin, and is there `boot` seconds later; a worker takes `start` seconds to start, once.
    """

    def __init__(self, machines: Sequence[Machine], boot: float = 0.0, start: float = 0.0) -> None:
        """Begin with one worker for each entry of `machines`, which may stand there several times."""
        self._machines = machines
        self._boot = boot
        self._start = start
        # Equals by index: the machines that are always there stand first.
        self._free = [(0.0, index) for index in range(len(machines))]
        self._begun = [False] * len(machines)

    def do(self, ready: float, work: Callable[[float, float], float]) -> float:
        """Let a worker do a piece of work that is `ready` at a time; return when it has ended.

        `work` is called with the time at which it begins and the speed of the machine, and returns when it ends.
        """
        free, index = heapq.heappop(self._free)
        machine, begin = self._machines[index], max(free, ready)
        if not self._begun[index]:
            self._begun[index] = True
            if not machine.always:
                machine.wanted = min(machine.wanted, begin)
                begin = max(begin, machine.wanted + self._boot)
            begin += self._start
        end = work(begin, machine.speed)
        machine.busy = max(machine.busy, end)
        heapq.heappush(self._free, (end, index))
        return end

    def takes(self, ready: float, seconds: float) -> float:
        """Let a worker do a piece of work that takes so many seconds at speed 1; return when it has ended."""
        return self.do(ready, lambda begin, speed: begin + seconds / speed)
