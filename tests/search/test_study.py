"""Whole searches on the digits, with everything that they write read back."""

import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.data import load
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.weights import init_digest, load_state
from fullspectrum.search.cli import main
from fullspectrum.search.files import Home
from fullspectrum.search.names import Metric
from fullspectrum.search.protocol.label import BASELINES, CHECKS
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.report import summary
from fullspectrum.search.sampling.allocation import budget
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.sources import SOURCES
from fullspectrum.search.study import run_study
from fullspectrum.search.worker.workbench import Workbench
from fullspectrum.spectral.coordinate import FIELDS, full_spectrum
from fullspectrum.spectral.objectives import OBJECTIVES
from mlflow import MlflowClient
from rich.console import Console

from ..zoo import tokens
from .conftest import TINY, candidates_of, run_tiny
from .tracked import label_of

# A search starts Ray, workers and MLflow's tables: seconds of work on an idle machine, more on a busy one.
pytestmark = pytest.mark.timeout(300)

TRIALS = TINY["search"]["trials"]


def _client(result) -> MlflowClient:
    return MlflowClient(tracking_uri=Home(result.folder.path.parent).tracking_uri)


def _runs(result) -> dict:
    client = _client(result)
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in client.search_runs(ids) if run.data.tags["fullspectrum.study"] == result.study.id]
    assert len({label_of(run) for run in runs}) == len(runs)
    return {label_of(run): run for run in runs}


def _artifact(result, run, name: str) -> Path:
    return Path(_client(result).download_artifacts(run.info.run_id, name))


@pytest.fixture(scope="module")
def runs(finished) -> dict:
    return _runs(finished)


def test_every_trial_ends_and_has_one_run_under_the_parent(finished, runs):
    assert [trial.number for trial in finished.trials] == list(range(TRIALS))
    assert finished.remaining == 0
    parent = runs[f"search {finished.study.id}"]
    children = {name for name, run in runs.items() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert children >= {f"trial {number}" for number in range(TRIALS)} | {"dense", "erk-random", "shuffled"}
    assert children <= {f"trial {number}" for number in range(TRIALS)} | set(BASELINES)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_runs_carry_the_promised_names(finished, runs):
    for trial in finished.trials:
        run = runs[f"trial {trial.number}"]
        assert run.data.tags["fullspectrum.outcome"] == trial.outcome
        assert run.data.tags["fullspectrum.gate"] == trial.result.gate
        assert run.data.tags["fullspectrum.mask_digest"] == trial.result.digest
        assert run.data.params.keys() >= {"source", "temperature", "seed", "allocation", "training.learning_rate"}
        promised = {"spectral/objective", "spectral/defined_layers", "sparsity/global", "sparsity/effective"}
        assert run.data.metrics.keys() >= promised | {Metric.score(name) for name in OBJECTIVES}
        assert run.data.metrics["spectral/objective"] == trial.result.scores["l2"]
        if trial.outcome is Outcome.STOPPED_BY_GATE:
            assert "accuracy/warmup" not in run.data.metrics
        else:
            history = _client(finished).get_metric_history(run.info.run_id, "accuracy/val")
            assert [point.step for point in history] == list(range(2, trial.result.iterations + 1, 2))
            assert run.data.metrics["accuracy/warmup"] == history[-1].value


def test_the_best_warmed_up_trial_and_the_baselines_are_trained_in_full(finished, runs):
    warmed = [trial for trial in finished.trials if trial.outcome is Outcome.FINISHED]
    best = max(warmed, key=lambda trial: trial.result.accuracy)
    finals = {name for name, run in runs.items() if "accuracy/final" in run.data.metrics and "search" not in name}
    scored = SOURCES[best.distribution.source]().has_saliency
    # All that the best mask cost is its last training, so that a random one needs no other.
    without = {"erk-random-equal-cost"} | (set() if scored else {"inverted"})
    assert finals == {f"trial {best.number}", *BASELINES} - without
    assert finished.rows[0].label == f"trial {best.number}"


def test_the_winner_is_held_against_what_is_left_of_it_without_its_choices(finished, runs):
    winner = finished.rows[0]
    masks = MaskSet.load(finished.folder.trial(int(winner.label.split()[1])) / "mask.safetensors")
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    checks = {label for label in CHECKS if label in runs}
    assert checks >= {"shuffled", "reinitialised"}
    for label in checks:
        assert runs[label].data.tags["fullspectrum.of"] == winner.label
        theirs = MaskSet.load(_artifact(finished, runs[label], "mask.safetensors"))
        assert {name: int(mask.sum()) for name, mask in theirs.items()} == kept
        assert (theirs.digest() == masks.digest()) is (label == "reinitialised")
        assert ("seed" in theirs.metadata) is (label == "reinitialised")
    # After an epoch none of them is better than guessing.
    assert "is at chance level on the test split" in finished.verdicts[0]


def test_the_recorded_mask_is_the_best_candidate_within_budget(finished, runs):
    total = 504_048
    for trial in finished.trials:
        run = runs[f"trial {trial.number}"]
        masks = MaskSet.load(_artifact(finished, run, "mask.safetensors"))
        record = json.loads(_artifact(finished, run, "candidates.json").read_text())
        scores = {row["digest"]: row["l2"] for row in record["candidates"]}
        assert masks.digest() == max(scores, key=scores.get) == trial.result.digest
        assert masks.kept == total - round(0.98 * total) == budget({n: m.shape for n, m in masks.items()}, 0.98)
        assert masks.metadata["study"] == finished.study.id


def test_every_candidate_is_rebuilt_bit_by_bit_from_its_row(finished):
    study = finished.study
    data = load(study.data)
    bench = Workbench(study, build(study.model, data.task, study.seed), data)
    for trial in finished.trials:
        record = json.loads((finished.folder.trial(trial.number) / "candidates.json").read_text())
        distribution = MaskDistribution.from_dict(record["distribution"])
        for row in record["candidates"]:
            masks = bench.draw(distribution, record["counts"], row["seed"])
            assert masks.digest() == row["digest"]
            table = full_spectrum(masks, bench.weights).to_dict()
            for name, values in table.items():
                # The mask is the same to the bit; sums of floats differ in the last digit with the number of threads.
                again = {field: values[field] for field in FIELDS}
                close = {field: v if v is None else pytest.approx(v, rel=1e-9, abs=1e-9) for field, v in again.items()}
                assert row["layers"][name] == close


def test_the_initial_weights_are_recorded_once_and_are_those_of_the_seed(finished, runs):
    holders = [
        name
        for name, run in runs.items()
        if any(item.path == "init.safetensors" for item in _client(finished).list_artifacts(run.info.run_id))
    ]
    assert holders == [f"search {finished.study.id}"]
    state = load_state(_artifact(finished, runs[holders[0]], "init.safetensors"))
    data = load("digits")
    assert init_digest(state) == init_digest(initial_state(build("digits_cnn", data.task, 0)))


def test_the_verdicts_stand_in_the_description_of_the_parent(finished, runs):
    note = runs[f"search {finished.study.id}"].data.tags["mlflow.note.content"]
    # The best mask, which learned nothing in so few iterations, the audit's verdict, and what the search ran.
    assert len(finished.verdicts) == 3
    assert all(sentence in note for sentence in finished.verdicts)


def test_tables_are_tables_for_the_ui(finished, runs):
    table = json.loads(_artifact(finished, runs["trial 0"], "coordinate.json").read_text())
    assert table["columns"][:5] == ["layer", *FIELDS]
    assert table["columns"][-1] == "variant" and {row[-1] for row in table["data"]} == {"paper"}
    assert [row[0] for row in table["data"]] == list(prunable(build("digits_cnn", load("digits").task, 0)))
    assert "coordinate.json" in runs["trial 0"].data.tags["mlflow.loggedArtifacts"]
    parent = runs[f"search {finished.study.id}"]
    names = {item.path for item in _client(finished).list_artifacts(parent.info.run_id)}
    files = {"study.json", "environment.json", "network.json", "init.safetensors", "leaderboard.json", "audit.json"}
    assert names == files | {"accuracies.png", "scores.png", "cost.png", "history.png", "best"}
    network = json.loads(_artifact(finished, parent, "network.json").read_text())
    assert list(network["layers"]) == [row[0] for row in table["data"]]
    assert network["dataset"]["splits"] == {split: len(part) for split, part in load("digits").splits.items()}


def test_random_proposals_do_not_depend_on_the_number_of_workers(finished, tmp_path):
    alone = run_tiny(tmp_path / "runs", "search.max_concurrent=1", "warmup.iterations=0", "final.top_k=0")
    assert candidates_of(alone) == candidates_of(finished)


def test_a_spectral_only_study_finishes_without_any_training(tmp_path):
    result = run_tiny(tmp_path / "runs", "warmup.iterations=0", "search.sources=['magnitude']")
    assert {trial.outcome for trial in result.trials} == {Outcome.FINISHED}
    assert all(trial.result.accuracy is None for trial in result.trials)
    assert result.rows[0].scores["l2"] == max(trial.result.scores["l2"] for trial in result.trials)
    # No accuracy was measured: the history is that of the score.
    assert [path.name for path in result.folder.report.glob("*.png")] == ["history.png"]


def test_sigterm_once_all_is_done_interrupts_nothing(tmp_path, monkeypatch):
    write = summary._write_report

    def write_and_interrupt(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return write(*arguments)

    monkeypatch.setattr(summary, "_write_report", write_and_interrupt)
    result = run_tiny(tmp_path / "runs", "warmup.iterations=0", "final.top_k=0", "search.trials=1")
    assert (result.remaining, result.stopped, result.signal) == (0, None, None)


def test_diverged_trials_are_results_and_teach_only_finite_numbers(tmp_path):
    result = run_tiny(tmp_path / "runs", "training.learning_rate=1e30", "search.trials=2", "gate.quantile=1.0")
    assert {trial.outcome for trial in result.trials} == {Outcome.DIVERGED}
    assert all("diverged at iteration" in trial.result.reason for trial in result.trials)
    assert all(math.isfinite(v) for t in result.trials for v in t.result.to_dict().values() if isinstance(v, float))
    assert result.failure is None


def test_masks_without_a_path_never_train_and_the_study_says_why(tmp_path):
    result = run_tiny(
        tmp_path / "runs", "sparsity=0.99995", "search.min_kept_per_output=0", "search.sources=['random']"
    )
    assert {trial.outcome for trial in result.trials} == {Outcome.REJECTED}
    assert "path" in result.failure or "collapsed" in result.failure
    assert _runs(result)[f"search {result.study.id}"].info.status == "FAILED"


def test_a_study_is_not_run_twice_by_accident(finished):
    with pytest.raises(InputError, match="has been run already.*--resume"):
        run_tiny(finished.folder.path.parent)


def test_resuming_a_finished_study_changes_nothing(finished, runs):
    before = {name: run.data.metrics for name, run in runs.items()}
    again = run_tiny(finished.folder.path.parent, resume=True)
    assert again.trials == finished.trials
    assert again.rows == finished.rows
    assert {name: run.data.metrics for name, run in _runs(again).items()} == before


def test_a_dead_tracking_server_neither_fails_nor_loses_anything(tmp_path, capsys):
    result = run_tiny(tmp_path / "runs", "search.trials=2", "tracking.mlflow=http://127.0.0.1:9")
    assert result.remaining == 0
    assert "has not reached MLflow" in capsys.readouterr().err
    events = [json.loads(line) for line in result.folder.spool.read_text().splitlines()]
    assert {event["run"] for event in events if event["op"] == "end"} >= {
        f"{result.study.id}/trial {n}" for n in (0, 1)
    }


USER_CODE = """
import numpy, torch

def network(channels, size, classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * size * size, 32),
                               torch.nn.ReLU(), torch.nn.Linear(32, classes))

class Unusual(torch.nn.Module):
    def __init__(self, inputs, classes):
        from tokens import LibraryAttention, ViTBlock
        super().__init__()
        self.normed = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(inputs, 32))
        self.add_module("a//b", torch.nn.Linear(32, 32))
        self.tied = torch.nn.Linear(32, 32)
        self.tied.weight = getattr(self, "a//b").weight
        self.block = ViTBlock(16, LibraryAttention(16, 2))
        self.head = torch.nn.Linear(32, classes)
    def forward(self, x):
        x = torch.relu(self.normed(x.flatten(1)))
        x = torch.relu(self.tied(torch.relu(getattr(self, "a//b")(x))))
        return self.head(self.block(x.unflatten(1, (2, 16))).flatten(1))

def unusual(channels, size, classes):
    return Unusual(channels * size * size, classes)

class Broken(torch.nn.Sequential):
    def forward(self, x):
        # Not when it is tried before the search: without gradients, or on two images.
        if self.training and torch.is_grad_enabled() and len(x) > 2:
            raise ArithmeticError("the user's own network is broken")
        return super().forward(x)

def broken(channels, size, classes):
    return Broken(*network(channels, size, classes))

def infinite(channels, size, classes):
    made = network(channels, size, classes)
    torch.nn.init.constant_(made[1].weight, float("inf"))
    return made

def images():
    generator = numpy.random.default_rng(0)
    def part(n):
        labels = numpy.arange(n) % 3
        noise = generator.integers(0, 40, (n, 1, 6, 6))
        return (noise + 60 * labels[:, None, None, None]).astype(numpy.uint8), labels
    return {"train": part(120), "val": part(60), "test": part(60)}
"""


#: Ctrl-C works as on a terminal: in the background of a shell, where tests may run, it is ignored and inherited so.
_MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from fullspectrum.search.cli import main
sys.exit(main())
"""


def _search(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-c", _MAIN, "search", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _write_study(folder: Path, **changes: object) -> None:
    lines = [
        f"{key} = {json.dumps(value)}" for key, value in ({**TINY, **changes}).items() if not isinstance(value, dict)
    ]
    for table, values in TINY.items():
        if isinstance(values, dict):
            lines.append(f"[{table}]")
            for key, value in values.items():
                text = json.dumps(value) if not isinstance(value, dict) else "{ low = 0.01, high = 0.1, log = true }"
                lines.append(f"{key} = {text}")
    (folder / "study.toml").write_text("\n".join(lines))


def test_a_users_own_network_and_data_are_searched_in_worker_processes(tmp_path, monkeypatch):
    # With a layer that computes its weight, a weight that two layers share, slashes in a name, and attention.
    (tmp_path / "own_code.py").write_text(USER_CODE)
    shutil.copy(tokens.__file__, tmp_path)
    _write_study(tmp_path, model="own_code:unusual", data="own_code:images", sparsity=0.8)
    search = _search(tmp_path, "study.toml")
    out, err = search.communicate(timeout=200)
    assert search.returncode == 0, err
    assert "best masks beside the baselines" in out
    assert "2 parameters are never pruned: normed.parametrizations.weight.original0" in err

    monkeypatch.chdir(tmp_path)
    assert main(["export", "best:study.toml", "--format", "torch-prune", "-o", "best.pt"]) == 0
    state = torch.load("best.pt", weights_only=True)
    masked = {name: mask for name, mask in state.items() if name.endswith("_mask")}
    block = {f"block.{name}" for name in ("attention.attention.out_proj.weight", "mlp.0.weight", "mlp.2.weight")}
    layers = {"a//b.weight", "tied.weight", "head.weight", "block.attention.attention.in_proj_weight", *block}
    assert masked.keys() == {f"{name}_mask" for name in layers}
    assert torch.equal(masked["a//b.weight_mask"], masked["tied.weight_mask"]) and not masked["tied.weight_mask"].all()
    client = MlflowClient(tracking_uri=Home(tmp_path / "runs").tracking_uri)
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert any("theta.a-2f--2f-b" in run.data.params for run in runs)


def test_trials_that_raise_fail_alone_and_a_hopeless_study_names_the_reason(tmp_path):
    (tmp_path / "own_code.py").write_text(USER_CODE)
    _write_study(tmp_path, model="own_code:broken", data="own_code:images", sparsity=0.8)
    search = _search(tmp_path, "study.toml", "--set", "search.sources=['magnitude']", "--set", "gate.quantile=1.0")
    _, err = search.communicate(timeout=200)
    assert search.returncode == 1
    assert "the user's own network is broken" in err
    assert "Traceback" not in err
    errors = list(tmp_path.glob("runs/*/trials/*/error.txt"))
    assert len(errors) == TRIALS
    assert "ArithmeticError" in errors[0].read_text()


def test_a_network_whose_loss_is_not_finite_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "own_code.py").write_text(USER_CODE)
    _write_study(tmp_path, model="own_code:infinite", data="own_code:images", sparsity=0.8)
    search = _search(tmp_path, "study.toml")
    _, err = search.communicate(timeout=200)
    assert search.returncode == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("fullspectrum: the loss of own_code:infinite at its initial weights is nan; check its init")
    assert not list(tmp_path.glob("runs/*"))


def test_masked_weights_stay_zero_through_full_training(finished):
    from fullspectrum.models.training import MaskedTraining

    study, data = finished.study, load("digits")
    model = build(study.model, data.task, study.seed)
    masks = MaskSet.load(finished.folder.trial(0) / "mask.safetensors")
    recipe = study.training.recipe(finished.trials[0].training)
    training = MaskedTraining(model, masks, data, recipe, 5, 0)
    training.run(5)
    for name, weight in prunable(model).items():
        assert np.count_nonzero(weight.detach().numpy()[~masks[name]]) == 0


def test_the_bundled_cifar10_study_runs_on_files_of_the_real_format(cifar10_root, tmp_path):
    from fullspectrum.search.config.studyfile import load_study

    overrides = ["search.trials=2", "search.samples_per_trial=2", "warmup.iterations=2", "warmup.report_every=2"]
    overrides += ["resources.gpus=0", "resources.cpus=1", "final.top_k=0"]
    overrides += ["pretraining.iterations={choices=[0, 2]}", "search.rounds=2", "search.round_iterations=2"]
    study = load_study("cifar10-resnet20", overrides)
    result = run_study(study, Home(tmp_path / "runs"), Console(file=io.StringIO()))
    assert all(trial.outcome in (Outcome.FINISHED, Outcome.STOPPED_BY_GATE) for trial in result.trials)
    assert all(trial.result.metrics["sparsity/global"] == pytest.approx(0.98, abs=1e-5) for trial in result.trials)


def test_an_interrupt_during_full_training_says_how_to_go_on(tmp_path):
    _write_study(tmp_path)
    search = _search(tmp_path, "study.toml", "--set", "search.trials=2", "--set", "final.epochs=100000")
    deadline = time.monotonic() + 120
    while not any('"op": "start", "run"' in s and "/dense" in s for s in _spools(tmp_path)):
        assert time.monotonic() < deadline
        assert search.poll() is None
        time.sleep(0.1)
    search.send_signal(signal.SIGINT)
    try:
        out, err = search.communicate(timeout=100)
    finally:
        # Where the signal is lost, the search would train on for hours.
        search.kill()
    assert search.returncode == 130, err
    assert "Interrupted. Go on with:" in out
    assert "--set=final.epochs=100000" in out
    assert "--resume" in out
    assert '"status": "KILLED"' in _spools(tmp_path)[0].splitlines()[-1]


def _spools(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("runs/*/spool.jsonl")]
