"""Workers that die, are lost with their machine, report late, or run out of memory."""

import os
import signal

import psutil
import pytest
from fullspectrum.search.protocol.outcome import Outcome

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
    search = Search(tmp_path / "hungry", *settings, study=study)
    (search.folder / "hungry.py").write_text(_HUNGRY)
    memory = psutil.virtual_memory()
    # Three gigabytes above what is in use now.
    threshold = (memory.total - memory.available + 3 * 2**30) / memory.total
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
