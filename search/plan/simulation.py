"""A search simulated on the machines of a cluster, in the order in which a driver hands out its work."""

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..config.study import Study
from .machines import Machine
from .pool import Pool
from .times import Times
from .workload import TrialWork, Workload

#: Measurements of a full training: about twenty on the way, and that on the test split, which is larger or smaller.
_MEASUREMENTS = 21


@dataclass(frozen=True)
class Overheads:
    """What no trial does, in seconds."""

    boot: float
    """From asking for a machine to its first worker."""
    start: float
    """From the start of a worker to its first trial: its imports, the network, the data."""
    driver: float
    """Of the driver alone, before its first trial and after its last training."""


class Simulation:
    """A search on machines, phase after phase; `seconds` is its length, the machines know until when they worked."""

    def __init__(self, work: Workload, times: Times, machines: Sequence[Machine], overheads: Overheads, seed: int):
        self._work = work
        self._study: Study = work.study
        self._times = times
        self._machines = machines
        self._overheads = overheads
        self._generator = np.random.default_rng([work.study.seed, seed, 1])
        self._scores_ready: dict[Hashable, float] = {}
        self.phases: dict[str, float] = {}
        """Seconds of the phases by name."""
        self.worked = 0.0
        """Seconds that trainings, or trials as a whole, held the resources of a trial."""
        now = overheads.driver / 2
        if work.pretraining:
            now = self._phase("dense pretraining", now, self._pretrain)
        now = self._phase("trials", now, partial(self._trials, reached=work.reached(seed)))
        if finalists := self._finalists():
            now = self._phase("full training", now, partial(self._trainings, count=finalists + 2))
            now = self._phase("checks of the winner", now, partial(self._trainings, count=self._checks()))
        self.seconds = now + overheads.driver / 2

    def _phase(self, name: str, now: float, run: Callable[[float], float]) -> float:
        end = run(now)
        self.phases[name] = end - now
        return end

    def _pool(self, machines: Iterable[Machine]) -> Pool:
        return Pool(list(machines), self._overheads.boot, self._overheads.start)

    def _slots(self, most: int | None = None) -> list[Machine]:
        """Return a machine for each trial that can train at once, at most `most`."""
        held = [one for one in self._machines for _ in range(one.trainings(self._study.resources))]
        return held[:most]

    def _steps(self, iterations: int, measurements: int) -> float:
        return iterations * self._times.iteration + measurements * self._times.validation

    def _pretrain(self, now: float) -> float:
        return self._hold(self._pool(self._slots(1)), now, self._steps(self._work.pretraining, 0))

    def _hold(self, pool: Pool, ready: float, seconds: float) -> float:
        """Let a worker with the resources of a trial do work; return when it has ended."""

        def work(begin: float, speed: float) -> float:
            self.worked += seconds / speed
            return begin + seconds / speed

        return pool.do(ready, work)

    def _trials(self, now: float, reached: Sequence[int]) -> float:
        most = self._study.search.max_concurrent
        training = self._pool(self._slots(most))
        scoring = self._pool(self._scoring_slots(most)) if self._study.resources.scoring_cpus else None
        gate = end = now
        for trial, iterations in zip(self._work.trials, reached, strict=True):
            seconds = self._warm_up(iterations)
            if scoring is None or trial.steps:
                end = max(end, self._whole(training, trial, now, seconds))
                continue
            scored = scoring.takes(now, self._scoring(trial))
            # The gate decides in the order of numbers.
            gate = max(gate, scored)
            end = max(end, self._hold(training, gate, seconds) if seconds else gate)
        return end

    def _scoring(self, trial: TrialWork) -> float:
        return float(self._generator.choice(self._times.scoring_of(trial.source)))

    def _warm_up(self, iterations: int) -> float:
        return self._steps(iterations, sum(report <= iterations for report in self._study.warmup.reports))

    def _whole(self, pool: Pool, trial: TrialWork, now: float, warm_up: float) -> float:
        """Let one worker score and train; the first that needs the scores of a source that trains computes them."""
        scoring = self._scoring(trial)

        def work(begin: float, speed: float) -> float:
            known = begin
            if trial.steps:
                computed = begin + self._steps(trial.steps, 0) / speed
                known = max(begin, self._scores_ready.setdefault(trial.key, computed))
            end = known + (scoring + warm_up) / speed
            self.worked += end - begin
            return end

        return pool.do(now, work)

    def _scoring_slots(self, most: int) -> list[Machine]:
        """Return a machine for each trial that can be scored at once, as the search itself places them."""
        resources = self._study.resources
        cores = resources.while_scoring.cpus
        apart = [one for one in self._machines if one.holds_trials and not one.has_gpus and one.node.cpus >= cores]
        if apart:
            held = [one for one in apart for _ in range(one.node.cpus // cores)]
        else:
            left = ((one, one.node.cpus - one.trainings(resources) * resources.cpus) for one in self._machines)
            held = [one for one, cpus in left if one.holds_trials for _ in range(cpus // cores)]
        return held[:most] or self._slots(1)

    def _finalists(self) -> int:
        if not self._study.warmup.iterations:
            return 0
        trained = sum(iterations > 0 for iterations in self._work.reached(0))
        top_k = self._study.final.top_k
        return trained if isinstance(top_k, str) else min(top_k, trained)

    def _checks(self) -> int:
        """Return the trainings that follow when the winner is known: its checks, and ERK-random at its cost."""
        dear = self._work.pretraining > 0 or any(trial.steps for trial in self._work.trials)
        return 3 * self._study.final.checks + dear

    def _trainings(self, now: float, count: int) -> float:
        pool, seconds = self._pool(self._slots()), self._steps(self._work.full_iterations, _MEASUREMENTS)
        return max((self._hold(pool, now, seconds) for _ in range(count)), default=now)


def node_seconds(machine: Machine, end: float, idle: float) -> float:
    """Return for how long a machine is paid: all the time, or until it has been idle for `idle` seconds."""
    if machine.always:
        return end
    return 0.0 if math.isinf(machine.wanted) else min(end, machine.busy + idle) - machine.wanted
