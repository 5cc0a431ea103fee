"""Workers that die, are lost with their machine, report late, or run out of memory."""

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.models.weights import init_digest
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.worker.pretraining import pretrain
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.search.worker.workbenches import Workbenches

from .searches import STUDY, Search

pytestmark = pytest.mark.timeout(240)


def test_a_trial_whose_worker_is_killed_goes_on_in_another_and_ends_as_if_nothing_had_happened(tmp_path, undisturbed):
    """P1, P2 (fault 1): the same trial, its next attempt, from its last checkpoint."""
    search = Search(tmp_path / "killed").start()
    with search.frozen(undisturbed) as victim:
        os.kill(victim["pid"], signal.SIGKILL)
    search.end()
    trial = search.ledger().trials()[victim["trial"]]
    assert (trial.proposal.attempt, trial.lost) == (2, 1)
    assert search.state() == undisturbed.state()
    assert search.runs() == undisturbed.runs()
    assert trial.outcome is not Outcome.FAILED


_TRAINING_SOURCE = (
    "search.sources=['imp']",
    "search.batches=1",
    "search.rounds=2",
    "search.round_iterations=100",
    "pretraining.iterations=100",
    "final.epochs=40",
    "search.trials=2",
    "gate.quantile=1.0",
    "final.top_k=0",
)


def test_a_worker_that_dies_in_a_source_that_trains_costs_no_more_than_a_checkpoint(tmp_path):
    """Nor does one that dies in pretraining: another goes on from its checkpoints, to the same bits."""
    search = Search(tmp_path / "scoring", *_TRAINING_SOURCE).start()
    search.wait(lambda: list(search.files.path.glob("checkpoints/pretraining/*.checkpoint")))
    workers = psutil.Process(search.process.pid).children(recursive=True)
    os.kill(next(worker.pid for worker in workers if "ray::_pretrain" in worker.cmdline()[0]), signal.SIGKILL)
    # In its second round: the first one is on disk.
    search.wait(lambda: list(search.files.path.glob("checkpoints/scores-*/round-1/*.checkpoint")))
    holder = _holder(next(search.files.scores.glob("*.lock")))
    os.kill(holder, signal.SIGKILL)
    search.end()
    trials = search.ledger().trials()
    assert sorted(trial.lost for trial in trials) == [0, 1]
    assert all(trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY) for trial in trials)
    assert not list(search.files.path.glob("checkpoints/scores-*"))
    data = load("digits")
    study = search.study
    start = Workbench(study, build(study.model, data.task, study.seed), data, folder=search.files)
    bench = Workbenches(start).after(100)
    ((_, weights),) = pretrain(study, build(study.model, data.task, study.seed), data, [100], study.seed)
    assert bench.init_digest == init_digest(weights)
    kept = bench.scores(trials[0].distribution)
    bench.folder, bench._scores = None, {}
    again = bench.scores(trials[0].distribution)
    assert all(np.array_equal(kept[name], again[name]) for name in again)


def _holder(lock: Path) -> int:
    """The process that holds a lock: the one worker that has the file open and does not wait for it."""
    inode = lock.stat().st_ino
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return next(int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}"))


#: Takes memory as long as it is let, in the warm-ups of every second trial.
_HUNGRY = """
import numpy, torch

HELD = []

class Hungry(torch.nn.Sequential):
    def forward(self, x):
        if self.training and torch.is_grad_enabled() and len(x) == 48:
            while True:
                HELD.append(torch.ones(2**24))
        return super().forward(x)

def network(channels, size, classes):
    return Hungry(torch.nn.Flatten(), torch.nn.Linear(channels * size * size, 64), torch.nn.ReLU(),
                  torch.nn.Linear(64, classes))
"""


def test_a_trial_that_runs_out_of_memory_fails_alone_after_its_retries(tmp_path):
    """P6 (fault 10): Ray kills its worker, which would end Ray Tune's run."""
    study = STUDY.replace('"digits_cnn"', '"hungry:network"').replace("sparsity = 0.98", "sparsity = 0.8")
    study = study.replace("batch_size = 64", "batch_size = { choices = [48, 64] }")
    settings = ("search.trials=4", "final.top_k=0", "gate.quantile=1.0", "faults.retries=1", "search.max_concurrent=8")
    # One at a time, so that Ray kills no neighbour, while the others wait.
    settings = (*settings, f"resources.cpus={os.cpu_count()}")
    search = Search(tmp_path / "hungry", *settings, study=study)
    (search.folder / "hungry.py").write_text(_HUNGRY)
    memory = psutil.virtual_memory()
    # Six gigabytes above what is in use now: other tests take some of them meanwhile.
    threshold = (memory.total - memory.available + 6 * 2**30) / memory.total
    limits = {"RAY_memory_usage_threshold": f"{threshold:.3f}", "RAY_memory_monitor_refresh_ms": "100"}
    search.start(environment=limits).end()
    trials = search.ledger().trials()
    hungry = {trial.number for trial in trials if trial.training["batch_size"] == 48}
    assert 0 < len(hungry) < len(trials)
    for trial in trials:
        if trial.number in hungry:
            assert (trial.outcome, trial.lost) == (Outcome.FAILED, 2)
            assert "memory" in trial.result.reason
        else:
            assert trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_EARLY)
    search.runs()
