"""A trial, step by step, without Ray."""

import errno
import json
import math
import os
from dataclasses import asdict

import pytest
from fullspectrum.models.cost import CostCounter
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.training import Diverged, MaskedTraining
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.report import Ended, LeftOnRequest, Measured, Report, Scored, StorageFailed, from_json
from fullspectrum.search.remote.scratch import VARIABLE, begin
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.trial import MaskTrial

from ..conftest import tiny_study

DATA = load("digits")


def proposal(number: int = 0, seed: int = 5, attempt: int = 1, digest: str | None = None) -> dict:
    distribution = MaskDistribution("random", math.inf, 0, {})
    return {"proposal": Proposal(number, attempt, seed, distribution, {"learning_rate": 0.05}, digest=digest).to_json()}


def reports(result: dict) -> list[Report]:
    """What a step of a trial reported."""
    assert result.keys() == {"training/iterations", "report"}
    return from_json(result["report"])


@pytest.fixture
def trial(tmp_path):
    """A trial as a worker sets it up, of the tiny study with the given overrides."""

    def start(*overrides: str, folder: StudyFolder | None = None) -> MaskTrial:
        study = tiny_study(*overrides)
        state = initial_state(build(study.model, DATA.task, study.seed))
        # Not its constructor, which makes folders for Tune.
        made = MaskTrial.__new__(MaskTrial)
        made.setup(proposal(), study, DATA, state, {}, folder or StudyFolder(tmp_path))
        return made

    return start


def test_the_first_step_scores_and_the_next_ones_warm_up_to_the_end(trial, tmp_path):
    running = trial()
    [scored], [first], [last, end] = (reports(running.step()) for _ in range(3))
    assert scored.metrics.keys() >= {"spectral/objective", "sparsity/effective"}
    assert [(type(one), one.iteration) for one in (first, last)] == [(Measured, 2), (Measured, 4)]
    assert all(0 <= one.accuracy <= 1 for one in (first, last))
    assert end == Ended(Outcome.FINISHED, 4)
    folder = StudyFolder(tmp_path).trial(0)
    assert {path.name for path in folder.iterdir()} == {"candidates.json", "coordinate.json", "mask.safetensors"}
    masks = MaskSet.load(folder / "mask.safetensors")
    assert masks.digest() == scored.digest
    network = CostCounter(running._workbench.model, DATA.task).cost(masks).network
    assert {name: scored.metrics[f"cost/{name}"] for name in asdict(network)} == asdict(network)


def test_a_reused_worker_takes_up_another_trial_as_a_fresh_one_would(trial):
    reused, fresh = trial(), trial()
    reused.step()
    reused.step()
    for worker in (reused, fresh):
        assert worker.reset_config(proposal(1, seed=6))
    for _ in range(3):
        one, other = reports(reused.step()), reports(fresh.step())
        # But for how long it took.
        assert one == other


def test_warm_ups_of_all_trials_see_the_same_batches(trial):
    accuracies = []
    for number in (0, 1):
        running = trial()
        # Same mask, another number: nothing else may differ.
        running.reset_config(proposal(number))
        running.step()
        accuracies.append(reports(running.step()))
    assert accuracies[0] == accuracies[1]


def test_a_spectral_only_trial_ends_with_its_score(trial):
    scored, end = reports(trial("warmup.iterations=0").step())
    assert isinstance(scored, Scored)
    assert end == Ended(Outcome.FINISHED, 0)


def test_another_attempt_of_a_spectral_only_trial_whose_mask_was_chosen_already_has_ended(trial):
    """P1: its worker or its driver may be lost between the score and the end."""
    worker = trial("warmup.iterations=0")
    scored, end = reports(worker.step())
    worker.reset_config(proposal(attempt=2, digest=scored.digest))
    assert reports(worker.step()) == [end]


def test_a_source_whose_rounds_diverge_is_a_result_and_no_failure(trial, monkeypatch):
    running = trial(
        "search.sources=['imp']", "search.rounds=2", "search.round_iterations=2", "faults.checkpoint_seconds=60"
    )
    distribution = MaskDistribution("imp", 0.0, 0, {}, "erk", 0, 2, 2)
    running.reset_config({"proposal": Proposal(0, 1, 5, distribution, {"learning_rate": 0.05}).to_json()})

    def diverging(training, iterations):
        raise Diverged(1, math.nan)

    monkeypatch.setattr(MaskedTraining, "run", diverging)
    (end,) = reports(running.step())
    assert end.outcome is Outcome.DIVERGED and "source imp" in end.reason


def test_a_network_that_puts_out_nan_has_diverged_and_not_failed(trial, monkeypatch):
    def accuracy(self, split):
        raise Diverged(self.iteration, math.nan)

    monkeypatch.setattr(MaskedTraining, "accuracy", accuracy)
    running = trial()
    running.step()
    [end] = reports(running.step())
    assert (end.outcome, end.iteration) == (Outcome.DIVERGED, 2)


def test_an_exception_ends_the_trial_with_its_reason_and_a_traceback_on_disk(trial, tmp_path, monkeypatch):
    def run(self, iterations):
        raise ArithmeticError("no such luck")

    monkeypatch.setattr(MaskedTraining, "run", run)
    running = trial()
    running.step()
    assert reports(running.step()) == [Ended(Outcome.FAILED, 0, "ArithmeticError: no such luck")]
    assert "Traceback" in (StudyFolder(tmp_path).trial(0) / "error.txt").read_text()
    monkeypatch.undo()
    running.reset_config(proposal(1))
    [scored] = reports(running.step())
    assert isinstance(scored, Scored)


def test_a_trial_without_a_viable_candidate_is_rejected_with_every_candidate_on_record(trial, tmp_path):
    [end] = reports(trial("sparsity=0.99995", "search.min_kept_per_output=0").step())
    assert end.outcome is Outcome.REJECTED
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert [row["rejected"] for row in record["candidates"]] == [end.reason] * 2
    assert record["best"] is None
    assert not (StudyFolder(tmp_path).trial(0) / "mask.safetensors").exists()


def test_a_trial_whose_objective_no_layer_defines_is_rejected_with_that_reason(trial, tmp_path):
    # Connected, but no layer has three kept weights a node on either side.
    result = reports(trial("objective=imdb", "sparsity=0.998").step())
    assert result == [Ended(Outcome.REJECTED, 0, "no layer defines imdb at this sparsity")]
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert [(row["objective"], row["rejected"]) for row in record["candidates"]] == [(None, None)] * 2


def test_the_chosen_mask_of_a_per_layer_search_scores_at_least_as_high_as_every_draw(trial, tmp_path):
    [scored] = reports(trial("search.draw=per_layer").step())
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert len(record["candidates"]) == 3
    assert scored.objective == max(row["objective"] for row in record["candidates"])
    assert record["best"] == record["candidates"][2]["seed"]
    masks = MaskSet.load(StudyFolder(tmp_path).trial(0) / "mask.safetensors")
    seeds = json.loads(masks.metadata["seed"])
    assert {name: str(seed) for name, seed in seeds.items()} == record["best"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_another_attempt_goes_on_from_the_checkpoint_of_the_one_before_with_its_mask(
    trial, monkeypatch, tmp_path, elsewhere
):
    """P2, faults 1 and 2: with the very results of a trial that nothing happened to; on another machine too."""
    folder = StudyFolder(tmp_path / "abc", f"file://{tmp_path}/store" if elsewhere else None)
    begin(folder)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "one"))
    settings = (
        "warmup.iterations=60",
        "warmup.report_every=20",
        "faults.checkpoint_seconds=0",
        "warmup.early_stopping=false",
    )
    undisturbed = trial(*settings, folder=folder)
    expected = [reports(undisturbed.step()) for _ in range(4)]
    undisturbed.reset_config(proposal(1))
    first = [reports(undisturbed.step()) for _ in range(3)]
    # A new worker: what it knows is in files.
    monkeypatch.setenv(VARIABLE, str(tmp_path / "other"))
    heir = trial(*settings, folder=folder)
    monkeypatch.setattr(heir, "_score", None)
    steps = []
    run = MaskedTraining.run
    monkeypatch.setattr(MaskedTraining, "run", lambda self, n: (steps.append(n), run(self, n))[1])
    heir.reset_config(proposal(1, attempt=2, digest=first[0][0].digest))
    # The report at the end of a checkpoint's piece comes again: nobody can know whether it arrived.
    rest = {result[0].iteration: result for result in (reports(heir.step()) for _ in range(2))}
    assert rest[60] == expected[3]
    assert sum(steps) == 20


def test_without_the_mask_of_the_attempt_before_it_is_found_again(trial, tmp_path):
    worker = trial()
    [scored] = reports(worker.step())
    (StudyFolder(tmp_path).trial(0) / "mask.safetensors").write_bytes(b"torn")
    worker.reset_config(proposal(attempt=2, digest=scored.digest))
    assert reports(worker.step()) == [scored]


def test_a_trial_that_is_asked_to_leave_does_so_before_its_next_chunk_and_candidate(trial, tmp_path):
    leave = StudyFolder(tmp_path).leave
    worker = trial()
    leave.touch()
    assert reports(worker.step()) == [LeftOnRequest()]
    leave.unlink()
    worker.step()
    leave.touch()
    assert reports(worker.step()) == [LeftOnRequest()]


def test_a_full_disk_is_not_the_trials_fault(trial, monkeypatch):
    """Fault 9."""
    worker = trial()

    def full(*_) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert reports(worker.step()) == [StorageFailed("No space left on device")]
