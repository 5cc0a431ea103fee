"""A trial, step by step, without Ray."""

import json
import math

import pytest
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.training import Diverged, MaskedTraining
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.space import MaskDistribution
from fullspectrum.search.trial import MaskTrial
from ray.tune.result import DONE

from .conftest import tiny_study

DATA = load("digits")


def proposal(number: int = 0, **changes) -> dict:
    distribution = MaskDistribution("random", math.inf, 0, {}).to_dict()
    plain = {
        "number": number,
        "attempt": 1,
        "seed": 5,
        "distribution": distribution,
        "training": {"learning_rate": 0.05},
    }
    return plain | changes


@pytest.fixture
def trial(tmp_path):
    """A trial as a worker sets it up, of the tiny study with the given overrides."""

    def start(*overrides: str) -> MaskTrial:
        study = tiny_study(*overrides)
        state = initial_state(build(study.model, DATA.task, study.seed))
        # Not its constructor, which makes folders for Tune.
        made = MaskTrial.__new__(MaskTrial)
        made.setup(proposal(), study, DATA, state, {}, StudyFolder(tmp_path))
        return made

    return start


def test_the_first_step_scores_and_the_next_ones_warm_up_to_the_end(trial, tmp_path):
    running = trial()
    results = [running.step() for _ in range(3)]
    assert [result["training/iterations"] for result in results] == [0, 2, 4]
    assert results[0].keys() >= {"spectral/objective", "sparsity/effective", "digest"}
    assert "accuracy/val" not in results[0]
    assert all(0 <= result["accuracy/val"] <= 1 for result in results[1:])
    assert [result.get("outcome") for result in results] == [None, None, "finished"]
    assert [result.get(DONE, False) for result in results] == [False, False, True]
    folder = StudyFolder(tmp_path).trial(0)
    assert {path.name for path in folder.iterdir()} == {"candidates.json", "coordinate.json", "mask.safetensors"}
    assert MaskSet.load(folder / "mask.safetensors").digest() == results[0]["digest"]


def test_a_reused_worker_takes_up_another_trial_as_a_fresh_one_would(trial):
    reused, fresh = trial(), trial()
    reused.step()
    reused.step()
    for worker in (reused, fresh):
        assert worker.reset_config(proposal(1, seed=6))
    for _ in range(3):
        one, other = reused.step(), fresh.step()
        assert one == other


def test_warm_ups_of_all_trials_see_the_same_batches(trial):
    accuracies = []
    for number in (0, 1):
        running = trial()
        # Same mask, another number: nothing else may differ.
        running.reset_config(proposal(number))
        running.step()
        accuracies.append(running.step())
    assert accuracies[0] == accuracies[1]


def test_a_spectral_only_trial_ends_with_its_score(trial):
    result = trial("warmup.iterations=0").step()
    assert (result["outcome"], result[DONE]) == ("finished", True)


def test_a_network_that_puts_out_nan_has_diverged_and_not_failed(trial, monkeypatch):
    def accuracy(self, split):
        raise Diverged(self.iteration, math.nan)

    monkeypatch.setattr(MaskedTraining, "accuracy", accuracy)
    running = trial()
    running.step()
    result = running.step()
    assert (result["outcome"], result[DONE], result["training/iterations"]) == ("diverged", True, 2)


def test_an_exception_ends_the_trial_with_its_reason_and_a_traceback_on_disk(trial, tmp_path, monkeypatch):
    def run(self, iterations):
        raise ArithmeticError("no such luck")

    monkeypatch.setattr(MaskedTraining, "run", run)
    running = trial()
    running.step()
    result = running.step()
    assert (result["outcome"], result["reason"]) == ("failed", "ArithmeticError: no such luck")
    assert "Traceback" in (StudyFolder(tmp_path).trial(0) / "error.txt").read_text()
    monkeypatch.undo()
    running.reset_config(proposal(1))
    assert "outcome" not in running.step()


def test_a_trial_without_a_viable_candidate_is_rejected_with_every_candidate_on_record(trial, tmp_path):
    result = trial("sparsity=0.99995", "search.min_kept_per_output=0").step()
    assert (result["outcome"], result[DONE]) == ("rejected", True)
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert [row["rejected"] for row in record["candidates"]] == [result["reason"]] * 2
    assert record["best"] is None
    assert not (StudyFolder(tmp_path).trial(0) / "mask.safetensors").exists()


def test_a_trial_whose_objective_no_layer_defines_is_rejected_with_that_reason(trial, tmp_path):
    # Connected, but no layer has three kept weights a node on either side.
    result = trial("objective=imdb", "sparsity=0.998").step()
    assert (result["outcome"], result["reason"]) == ("rejected", "no layer defines imdb at this sparsity")
    assert result[DONE]
    assert not any(key.startswith("spectral/") for key in result)
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert [(row["objective"], row["rejected"]) for row in record["candidates"]] == [(None, None)] * 2


def test_the_chosen_mask_of_a_per_layer_search_scores_at_least_as_high_as_every_draw(trial, tmp_path):
    result = trial("search.draw=per_layer").step()
    record = json.loads((StudyFolder(tmp_path).trial(0) / "candidates.json").read_text())
    assert len(record["candidates"]) == 3
    assert result["spectral/objective"] == max(row["objective"] for row in record["candidates"])
    assert record["best"] == record["candidates"][2]["seed"]
    masks = MaskSet.load(StudyFolder(tmp_path).trial(0) / "mask.safetensors")
    assert json.loads(masks.metadata["seed"]) == record["best"]
