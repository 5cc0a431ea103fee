"""A whole search that pretrains, with a source that trains: every part of it read back and made again."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import Data
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.seeds import derive
from fullspectrum.models.training import MaskedTraining
from fullspectrum.models.weights import init_digest, load_state
from fullspectrum.search.cli import main
from fullspectrum.search.files import Home
from fullspectrum.search.final.baselines import other_weights
from fullspectrum.search.final.full import FullTraining, train_fully
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.worker.pretraining import pretrain
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.search.worker.workbenches import Workbenches
from mlflow import MlflowClient

from .conftest import run_tiny
from .tracked import runs_of

pytestmark = pytest.mark.timeout(300)

SETTINGS = (
    "pretraining.iterations={choices=[2,4]}",
    "search.sources=['imp']",
    "search.rounds=2",
    "search.round_iterations={choices=[2,3]}",
    "search.batches=1",
    "gate.quantile=1.0",
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return run_tiny(tmp_path_factory.mktemp("home") / "runs", *SETTINGS)


@pytest.fixture(scope="module")
def benches(result, digits: Data) -> Workbenches:
    study = result.study
    return Workbenches(Workbench(study, build(study.model, digits.task, study.seed), digits, folder=result.folder))


@pytest.fixture(scope="module")
def runs(result) -> dict:
    client = MlflowClient(tracking_uri=Home(result.folder.path.parent).tracking_uri)
    return runs_of(client, f"digits_cnn digits 0.98 {result.study.id}")


def weights_after(result, iterations: int) -> dict[str, torch.Tensor]:
    return load_state(result.folder.pretrained_weights(iterations))


def accuracy(result, data: Data, state: dict[str, torch.Tensor], masks: MaskSet | None, training: dict) -> float:
    """Test accuracy of a full training from `state`, as the study does it."""
    model = build(result.study.model, data.task, 0)
    model.load_state_dict(state)
    *_, end = train_fully(model, masks, data, FullTraining.of(result.study, training))
    assert isinstance(end, TrainingEnd)
    return end.accuracy_final


def test_the_weights_are_those_of_a_dense_training(result, digits):
    training = MaskedTraining(
        build("digits_cnn", digits.task, 0), None, digits, Recipe(batch_size=64), 16, derive(0, "pretraining")
    )
    for iterations in (2, 4):
        training.run(2)
        state = weights_after(result, iterations)
        assert all(torch.equal(value, state[name]) for name, value in training.model.state_dict().items())


def test_trials_start_from_them(result, digits):
    for trial in result.trials:
        k = trial.distribution.pretraining
        assert k in (2, 4)
        masks = MaskSet.load(result.folder.trial(trial.number) / "mask.safetensors")
        assert masks.metadata["pretraining"] == str(k)
        assert masks.metadata["init_digest"] == init_digest(weights_after(result, k))
        model = build("digits_cnn", digits.task, 0)
        model.load_state_dict(weights_after(result, k))
        recipe = result.study.training.recipe(dict(trial.training))
        training = MaskedTraining(model, masks, digits, recipe, 4, derive(0, "warm-up"))
        training.run(trial.result.iterations)
        assert training.accuracy("val") == trial.result.accuracy


def test_candidates_are_rebuilt_bit_by_bit(result, benches):
    for trial in result.trials:
        record = json.loads((result.folder.trial(trial.number) / "candidates.json").read_text())
        bench = benches.of(trial.distribution)
        for row in record["candidates"]:
            masks = bench.draw(trial.distribution, record["counts"], row["seed"])
            assert masks.digest() == row["digest"]


def test_scores_are_computed_once_for_all_that_they_depend_on(result, benches):
    keys = {(t.distribution.pretraining, t.distribution.rounds, t.distribution.round_iterations) for t in result.trials}
    assert len(list(result.folder.scores.glob("*.safetensors"))) == len(keys) < len(result.trials) + 1
    for trial in result.trials:
        distribution, bench = trial.distribution, benches.of(trial.distribution)
        alone = copy.copy(bench)
        alone.folder, alone._scores = None, {}
        kept, again = bench.scores(distribution), alone.scores(distribution)
        assert all(np.array_equal(kept[name], again[name]) for name in again)
        assert bench.source_cost(distribution) == distribution.pretraining + 2 * distribution.round_iterations


def test_the_best_mask_and_its_checks_are_trained_from_them(result, digits):
    (winner, *_), finals = result.rows, {record.label: record for record in result.finals}
    trial = result.trials_by_label[winner.label]
    k, state = trial.distribution.pretraining, weights_after(result, trial.distribution.pretraining)
    files = {"mask": result.folder.trial(trial.number) / "mask.safetensors"}
    files |= {label: result.folder.baseline(label) for label in ("shuffled", "inverted")}
    masks = {label: MaskSet.load(file) for label, file in files.items()}
    assert accuracy(result, digits, state, masks["mask"], trial.training) == winner.accuracy_final
    for label in ("shuffled", "inverted"):
        assert accuracy(result, digits, state, masks[label], trial.training) == finals[label].accuracy_final
    # The others start from initial weights of their own, and are pretrained for as long.
    seed = other_weights(0)
    other = build("digits_cnn", digits.task, seed)
    ((_, theirs),) = pretrain(result.study, other, digits, [k], seed)
    assert accuracy(result, digits, theirs, masks["mask"], trial.training) == finals["reinitialised"].accuracy_final
    start = initial_state(build("digits_cnn", digits.task, 0))
    assert accuracy(result, digits, start, None, trial.training) == finals["dense"].accuracy_final


def test_the_record_names_them(result, runs):
    for trial in result.trials:
        k, params = trial.distribution.pretraining, runs[trial.label].data.params
        assert params["pretraining.iterations"] == str(k)
        assert params["weights_digest"] == init_digest(weights_after(result, k))
        assert (params["rounds"], params["round_iterations"]) == ("2", str(trial.distribution.round_iterations))
    client = MlflowClient(tracking_uri=Home(result.folder.path.parent).tracking_uri)
    parent = runs[f"search {result.study.id}"].info.run_id
    names = {file.path for file in client.list_artifacts(parent)}
    assert names >= {"init.safetensors", "pretrained-2.safetensors", "pretrained-4.safetensors"}


def test_export_hands_out_the_weights_that_the_mask_is_for(result, runs, tmp_path: Path, capsys):
    winner = result.trials_by_label[result.rows[0].label]
    digest = init_digest(weights_after(result, winner.distribution.pretraining))
    home = str(result.folder.path.parent)
    for number, what in enumerate((f"best:{result.study.id}", runs[winner.label].info.run_id)):
        output = tmp_path / f"{number}.safetensors"
        command = ["export", what, "--format", "fullspectrum", "-o", str(output), "--home", home]
        assert main(command) == 0
        assert f"weights {digest[:12]}" in capsys.readouterr().out
        assert init_digest(load_state(output.with_suffix(".init.safetensors"))) == digest
