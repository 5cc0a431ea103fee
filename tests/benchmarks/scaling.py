"""How many workers one driver keeps busy: a simulated cluster of 1 to 512 workers around the real driver.

    python -m tests.benchmarks.scaling [--storage journal sqlite postgres] [--workers N …] [--trial SECONDS]

A small study is run here first; its trials' times, stretched to a mean of 60 s, are replayed on workers that only a
simulated clock knows. Proposer, dispatcher, referee, ledger, storage and record are the real ones: what each call takes
here moves the clock. What Ray Tune itself takes of the driver is measured with real Tune on trials that do nothing, and
added. The driver does one thing after the other, as it does in truth. No network lies between driver and workers.
"""

import argparse
import contextlib
import heapq
import io
import os
import statistics
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.driver.dispatch import Dispatcher
from fullspectrum.search.driver.opentrial import Worker
from fullspectrum.search.driver.running import RunningSearch
from fullspectrum.search.driver.tune_internals import trainable_kept
from fullspectrum.search.driver.tuning import SETTINGS, Decisions, Ends, Proposals, TuneAdapter
from fullspectrum.search.files import Home, StudyFolder
from fullspectrum.search.guidance.proposer import Proposer
from fullspectrum.search.names import Metric
from fullspectrum.search.plan.times import Times
from fullspectrum.search.process.shutdown import Shutdown
from fullspectrum.search.protocol.events import Listeners
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal, Stage
from fullspectrum.search.protocol.report import Ended, Measured, Report, Scored, to_json
from fullspectrum.search.record.recorder import Recorder
from fullspectrum.search.record.spool import Spool
from fullspectrum.search.screen.progress import Progress
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.storage import open_storage
from fullspectrum.search.store.writer import take_over
from fullspectrum.search.study import run_study
from ray import tune
from rich.console import Console
from rich.table import Table

from ..faults.postgres import running as running_postgres

WORKERS = (1, 8, 32, 128, 512)
#: Mean seconds of a trial.
TRIAL = 60.0
#: Trials for each worker, and at least.
ROUNDS, LEAST = 3, 64
#: Real actors of Ray Tune that do nothing.
ACTORS = (2, 8, 24)

NAMES = [f"layer{index}.weight" for index in range(20)]
HERE = Worker("here", 1)

#: Calls of a storage that the ledger makes.
CALLS = (
    "create_new_trial",
    "get_all_trials",
    "get_trial",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
    "set_trial_user_attr",
)


def study(trials: int, concurrent: int, sampler: str = "tpe") -> Study:
    """A study with ten measurements in a warm-up; half of the trials and a tenth pass the gate."""
    return parse(
        {
            "model": "digits_cnn",
            "data": "digits",
            "sparsity": 0.95,
            "search": {"trials": trials, "sampler": sampler, "max_concurrent": concurrent, "samples_per_trial": 4},
            "warmup": {"iterations": 100, "report_every": 10},
            "final": {"top_k": 0},
        }
    )


def recorded(scratch: Path) -> Times:
    """The times of the trials of a small study that is run here."""
    found, home = study(12, 2, "random"), Home(scratch / "recorded")
    result = run_study(found, home, Console(file=io.StringIO()))
    return Times.of_study(found, result.folder, result.trials)


# What Ray Tune takes


class Nothing(tune.Trainable):
    """A trial that reports at regular intervals, and does nothing."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begins."""

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes up the next trial."""
        return True

    def step(self) -> dict[str, Any]:
        """Waits for as long as keeps two processors free for the driver, whatever the number of actors."""
        time.sleep(0.05 * self.config["actors"])
        return {Metric.ITERATIONS: 0, "report": to_json([])}


class Counting:
    """A dispatcher that hands out so many trials, ends each after so many results, and takes no time for either."""

    idle = False

    def __init__(self, trials: int, results: int):
        self.left, self._results = trials, results
        self._seen: dict[int, int] = defaultdict(int)
        self.first: float | None = None

    def propose(self) -> Proposal | None:
        """The next trial."""
        if not self.left:
            self.idle = True
            return None
        self.left -= 1
        return SimpleNamespace(number=self.left, attempt=1, stage=Stage.WHOLE, to_json=lambda: "{}")

    def started(self, number: int) -> None:
        """A worker took up a trial."""
        self.first = self.first or time.perf_counter()

    def report(self, number: int, attempt: int, reports: list, worker: Worker, iteration: int = 0) -> bool:
        """A result; whether the trial goes on."""
        self._seen[number] += 1
        return self._seen[number] < self._results


def tune_seconds(actors: int, trials: int, results: int) -> tuple[float, float]:
    """Seconds of the processor that Tune takes of the driver's main thread, after its start; seconds to the first."""
    dispatcher, marks = Counting(trials, results), []
    adapter = TuneAdapter(dispatcher, Shutdown(Path("/nonexistent/leave"), 0.0))
    started = dispatcher.started

    def note(number: int) -> None:
        started(number)
        # What its actors take to start is told apart: the clock begins when all are there.
        if trials - dispatcher.left >= actors:
            marks.append(time.thread_time())

    dispatcher.started = note
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, trainable_kept():
        tune.Tuner(
            tune.with_resources(Nothing, {"cpu": 1}),
            param_space={},
            tune_config=tune.TuneConfig(
                search_alg=_With(adapter, actors),
                scheduler=Decisions(adapter),
                num_samples=-1,
                max_concurrent_trials=actors,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[Ends(adapter)],
                verbose=0,
            ),
        ).fit()
    return time.thread_time() - marks[0], dispatcher.first - begun


class _With(Proposals):
    """Proposals that also say how many actors there are."""

    def __init__(self, adapter: TuneAdapter, actors: int):
        super().__init__(adapter)
        self._actors = actors

    def suggest(self, trial_id: str) -> Any:
        """The next proposal."""
        found = super().suggest(trial_id)
        return found | {"actors": self._actors} if isinstance(found, dict) else found


class TuneCost:
    """The seconds of the driver that Tune takes for a trial and for a result, by the number of actors."""

    def __init__(self) -> None:
        self.measured: dict[int, tuple[float, float]] = {}
        self.start = 0.0
        ray.init(num_cpus=max(ACTORS), include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        for actors in ACTORS:
            trials = 4 * actors
            short, self.start = tune_seconds(actors, trials, 2)
            long, _ = tune_seconds(actors, trials, 7)
            result = max(0.0, (long - short) / (trials * 5))
            self.measured[actors] = max(0.0, short / trials - 2 * result), result
        ray.shutdown()
        sizes = np.array(list(self.measured))
        self._trial, self._result = (
            np.polyfit(sizes, [each[kind] for each in self.measured.values()], 1) for kind in (0, 1)
        )

    def trial(self, actors: int) -> float:
        """Seconds for a trial beyond its results; at no number of actors less than was measured at any."""
        return max(float(np.polyval(self._trial, actors)), min(one for one, _ in self.measured.values()))

    def result(self, actors: int) -> float:
        """Seconds for a result."""
        return max(float(np.polyval(self._result, actors)), min(one for _, one in self.measured.values()))


# The driver


class Driver:
    """The real driver of a study, all but Ray; what its calls take is kept by kind."""

    def __init__(self, settings: Study, folder: StudyFolder, database: str | None):
        self.settings = settings
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._stored = self._computed = 0.0
        storage = open_storage(database, folder.journal)
        for name in CALLS:
            setattr(storage, name, self._timed(getattr(storage, name)))
        ledger = take_over(Ledger(settings, storage))
        shutdown = Shutdown(folder.leave, 0.0)
        progress = Progress(Console(file=io.StringIO()), settings.search.trials, "distance")
        listeners = Listeners(Recorder(settings, folder, Spool(folder.spool)), progress)
        bench = SimpleNamespace(start=SimpleNamespace(study=settings))
        proposer = Proposer(settings, ledger, NAMES)
        search = RunningSearch(bench, folder, ledger, proposer, listeners, shutdown, None)
        self.dispatcher = Dispatcher(search)

    def _timed(self, call: Callable) -> Callable:
        def timed(*arguments: Any, **named: Any) -> Any:
            begun, worked = time.perf_counter(), time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                self._stored += time.perf_counter() - begun
                self._computed += time.thread_time() - worked

        return timed

    def take(self, kind: str, call: Callable, *arguments: Any) -> tuple[Any, float]:
        """What a call returns, and the seconds that it takes; those in the storage are kept beside.

        They are seconds of the processor, so that other work on the machine changes them little, and of the clock in
        the storage, which also waits for a disk or a server.
        """
        stored, computed, begun = self._stored, self._computed, time.thread_time()
        found = call(*arguments)
        waited = self._stored - stored
        took = time.thread_time() - begun - (self._computed - computed) + waited
        self.seconds[kind].append(took)
        self.seconds[f"{kind}, of it storage"].append(waited)
        return found, took


class Timeline:
    """What the trials of a study report, and after how many seconds: a function of the proposal."""

    def __init__(self, times: Times, settings: Study, mean: float):
        self._times, self._settings = times, settings
        share = settings.gate.quantile + (1 - settings.gate.quantile) * settings.gate.control
        # A third of those that train comes past the rung in the middle, and the others train on until that is decided.
        expected, warmup = times.scoring_of("random"), settings.warmup
        full = warmup.iterations * times.iteration + len(warmup.reports) * times.validation
        whole = statistics.mean(expected) + share * 0.85 * full
        self._stretch = mean / whole

    def of(self, proposal: Proposal) -> deque[tuple[float, list[Report]]]:
        """The steps of a trial."""
        generator, settings = np.random.default_rng(proposal.seed % 2**32), self._settings
        score, accuracy = generator.random(2)
        seconds = generator.choice(self._times.scoring_of(proposal.distribution.source)) * self._stretch
        metrics = {Metric.OBJECTIVE: float(score), "spectral/l2": float(score), Metric.COST: 0}
        steps: list[tuple[float, list[Report]]] = [(float(seconds), [Scored(metrics, str(proposal.seed))])]
        before = 0
        for iteration in settings.warmup.reports:
            seconds = ((iteration - before) * self._times.iteration + self._times.validation) * self._stretch
            steps.append((seconds, [Measured(iteration, float(accuracy * iteration / 100), 1.0)]))
            before = iteration
        steps[-1][1].append(Ended(Outcome.FINISHED, before))
        return deque(steps)


class Run:
    """A study run by so many simulated workers."""

    def __init__(self, driver: Driver, timeline: Timeline, workers: int, cost: TuneCost):
        self._driver, self._timeline, self._cost = driver, timeline, cost
        self._workers = workers
        self._events: list[tuple[float, int, Proposal, deque]] = []
        self._idle = deque([0.0] * workers)
        self.free = 0.0
        """When the driver has done what there was."""
        self.driver_busy = 0.0
        self._starts: list[float] = []
        self._worked: list[tuple[float, float]] = []
        self.events = self.trials = 0
        self._fill()
        while self._events:
            self._report(*heapq.heappop(self._events))
        self.seconds = self.free

    def _spend(self, ready: float, seconds: float) -> float:
        """The driver does something that is ready at a time; when it has done so."""
        self.free = max(self.free, ready) + seconds
        self.driver_busy += seconds
        self.events += 1
        return self.free

    def _fill(self) -> None:
        """Hand out trials to the workers that have none."""
        dispatcher = self._driver.dispatcher
        while self._idle:
            proposal, took = self._driver.take("a proposal", dispatcher.propose)
            if proposal is None:
                return
            _, start = self._driver.take("a start", dispatcher.started, proposal.number)
            now = self._spend(self._idle.popleft(), took + start + self._cost.trial(self._workers))
            self.trials += 1
            self._starts.append(now)
            steps = self._timeline.of(proposal)
            self._push(now, proposal, steps)

    def _push(self, now: float, proposal: Proposal, steps: deque) -> None:
        seconds = steps[0][0]
        self._worked.append((now, now + seconds))
        heapq.heappush(self._events, (now + seconds, proposal.number, proposal, steps))

    def _report(self, ready: float, number: int, proposal: Proposal, steps: deque) -> None:
        _, reports = steps.popleft()
        arguments = number, proposal.attempt, reports, HERE, reports[0].iteration
        goes_on, took = self._driver.take("a report", self._driver.dispatcher.report, *arguments)
        now = self._spend(ready, took + self._cost.result(self._workers))
        if goes_on:
            self._push(now, proposal, steps)
            return
        self._idle.append(now)
        self._fill()

    @property
    def worked(self) -> float:
        """Seconds that all workers worked."""
        return sum(end - begin for begin, end in self._worked)

    @property
    def filled(self) -> float:
        """When every worker had its first trial."""
        return self._starts[min(self._workers, self.trials) - 1]

    @property
    def efficiency(self) -> float:
        """The part of the workers' time in which they worked, from when each had its first trial to the last proposal.

        After that fewer trials are left than workers, which no driver changes.
        """
        first, last = self.filled, self._starts[-1]
        worked = sum(max(0.0, min(end, last) - max(begin, first)) for begin, end in self._worked)
        return worked / (self._workers * (last - first))


@contextlib.contextmanager
def database(kind: str) -> Iterator[str | None]:
    """The URL of a storage of a kind; None for a journal."""
    with contextlib.ExitStack() as stack:
        if kind == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            yield f"sqlite:///{folder}/study.db"
        elif kind == "postgres":
            yield stack.enter_context(running_postgres()).url.replace("postgresql:", "postgresql+psycopg:")
        else:
            yield None


def several(table: Table, run: Run, driver: Driver, workers: int, cost: TuneCost, mean: float) -> None:
    """Adds what several drivers of one study would come to, from the means of what one took.

    Each has its share of the workers, of Tune's work and of the driver's own; the storage is one for all, so that its
    part takes its turn: all of it where it is a file, a tenth where a server works for several connections at once.
    """
    reports = len(driver.seconds["a report"]) / run.trials
    stored = sum(sum(times) for kind, times in driver.seconds.items() if "storage" in kind) / run.trials
    for drivers in (1, 2, 4, 8):
        share = max(1, workers // drivers)
        own = run.driver_busy / run.trials - stored
        own -= cost.trial(workers) + reports * cost.result(workers)
        own += cost.trial(share) + reports * cost.result(share)
        for name, turn in (("a journal or SQLite", 1.0), ("a server", 0.1)):
            limit = min(drivers / (own + stored), 1 / (turn * stored))
            table.add_row(str(drivers), name, f"{limit:.0f}", f"{limit * mean:,.0f}")


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument(
        "--storage", choices=("journal", "sqlite", "postgres"), nargs="+", default=["journal", "postgres"]
    )
    parser.add_argument("--trial", type=float, default=TRIAL)
    given = parser.parse_args()
    console = Console(width=120)
    os.environ.update(SETTINGS)
    cost = TuneCost()
    table = Table(title="what Ray Tune takes of the driver", title_justify="left")
    for heading in ("actors", "ms a trial", "ms a result"):
        table.add_column(heading, justify="right")
    for actors, (trial, result) in cost.measured.items():
        table.add_row(str(actors), f"{1000 * trial:.1f}", f"{1000 * result:.2f}")
    for actors in (max(given.workers),):
        table.add_row(f"{actors} (line)", f"{1000 * cost.trial(actors):.1f}", f"{1000 * cost.result(actors):.2f}")
    console.print(table)
    with tempfile.TemporaryDirectory() as scratch:
        times = recorded(Path(scratch))
        console.print(f"the first actor works {cost.start:.1f} s after it was asked for; times of {times.origin}")
        for kind in given.storage:
            measure(console, Path(scratch), kind, times, given, cost)


def measure(
    console: Console, scratch: Path, kind: str, times: Times, given: argparse.Namespace, cost: TuneCost
) -> None:
    """Runs the study on each number of workers, over one kind of storage, and prints what came of it."""
    table = Table(title=f"trials of {given.trial:g} s, storage: {kind}", title_justify="left")
    for heading in (
        "workers",
        "trials",
        "s a trial",
        "efficiency",
        "all at work after",
        "driver busy",
        "ms a trial",
        "trials/s at most",
    ):
        table.add_column(heading, justify="right")
    for workers in given.workers:
        settings = study(max(LEAST, ROUNDS * workers), workers)
        folder = StudyFolder(scratch / f"{kind}-{workers}")
        folder.path.mkdir()
        with database(kind) as url:
            driver = Driver(settings, folder, url)
            run = Run(driver, Timeline(times, settings, given.trial), workers, cost)
        each = run.driver_busy / run.trials
        table.add_row(
            str(workers),
            str(run.trials),
            f"{run.worked / run.trials:.0f}",
            f"{run.efficiency:.1%}",
            f"{run.filled:.1f} s",
            f"{run.driver_busy / run.seconds:.1%}",
            f"{1000 * each:.1f}",
            f"{1 / each:.0f}",
        )
    console.print(table)
    parts = Table(title=f"where the driver's time goes at {workers} workers", title_justify="left")
    for heading in ("what", "times", "ms each", "ms a trial"):
        parts.add_column(heading, justify="left" if heading == "what" else "right")
    for name, found in sorted(driver.seconds.items()):
        whole = 1000 * sum(found)
        parts.add_row(name, str(len(found)), f"{whole / len(found):.2f}", f"{whole / run.trials:.2f}")
    reports = len(driver.seconds["a report"]) / run.trials
    trial, result = 1000 * cost.trial(workers), 1000 * cost.result(workers)
    parts.add_row("Ray Tune, a trial", str(run.trials), f"{trial:.2f}", f"{trial:.2f}")
    parts.add_row("Ray Tune, a result", f"{reports * run.trials:.0f}", f"{result:.2f}", f"{reports * result:.2f}")
    console.print(parts)
    more = Table(title="several drivers on one study, as these times say", title_justify="left")
    for heading in ("drivers", "storage", "trials a second at most", f"workers at {given.trial:g} s"):
        more.add_column(heading, justify="right")
    several(more, run, driver, workers, cost, given.trial)
    console.print(more)


if __name__ == "__main__":
    main()
