"""The names under which a study is kept and recorded, as literals: records of today must be readable tomorrow."""

from pathlib import Path

import pytest
from fullspectrum.search.files import Home
from fullspectrum.search.store.storage import open_storage
from mlflow import MlflowClient

from .tracked import runs_of

SCORES = {
    *(f"spectral/{name}" for name in ("l2", "l2_authors", "imdb", "ramanujan_gap", "weighted_gap", "imsg")),
    *("spectral/layer_density", "score/log_density", "score/live_channels", "score/kept_magnitude", "score/learned"),
}
SCORED = SCORES | {
    "spectral/objective",
    "spectral/defined_layers",
    "sparsity/global",
    "sparsity/effective",
    "guard/dead_channels",
    "guard/empty_channels",
    "cost/iterations",
    *(f"cost/{name}" for name in ("parameters", "parameters_dense", "flops", "flops_dense")),
    *("cost/bytes_csr", "cost/bytes_dense"),
}
WARMED = {"accuracy/val", "training/loss", "training/iterations"}
FINAL = {"accuracy/final", "accuracy/val_final", "training/iterations", "cost/iterations"}

TRAINING = {
    f"training.{name}"
    for name in (
        "optimizer",
        "learning_rate",
        "momentum",
        "nesterov",
        "weight_decay",
        "label_smoothing",
        "batch_size",
        "schedule",
        "milestones",
        "step_factor",
        "ramp_up",
        "gradient_clip",
        "ema",
        "compile",
        "mask",
        "mask_every",
        "mask_fraction",
        "mask_until",
    )
}
LAYERS = ("conv1", "conv2", "conv3", "fc1", "fc2")
TRIAL_PARAMS = {"source", "temperature", "seed", "batch_seed", "allocation", "pretraining.iterations"} | {
    *(f"theta.{name}" for name in LAYERS),
    *("weights_digest", "group", "group_reason"),
}
STUDY_PARAMS = {"model", "data", "sparsity", "objective", "variant", "seed", "pretraining.iterations"} | {
    *(f"guard.{name}" for name in ("max_dead_channels", "min_shortcut_coverage", "repair")),
    *(f"search.{name}" for name in ("trials", "samples_per_trial", "draw", "sampler", "sources", "temperature")),
    *(f"search.{name}" for name in ("batches", "images_per_class", "rounds", "allocation", "keep_dense", "theta")),
    *(f"search.{name}" for name in ("theta_range", "min_kept_per_output", "max_concurrent", "round_iterations")),
    *("search.groups", "search.pattern"),
}

OWN_TAGS = {
    *("fullspectrum.key", "fullspectrum.kind", "fullspectrum.study"),
    *("mlflow.runName", "mlflow.user", "mlflow.source.name", "mlflow.source.type"),
}
NESTED_TAGS = OWN_TAGS | {"mlflow.parentRunId", "fullspectrum.outcome"}
TRIAL_TAGS = NESTED_TAGS | {
    "fullspectrum.attempt",
    "fullspectrum.gate",
    "fullspectrum.mask_digest",
    "fullspectrum.source",
    "fullspectrum.rank",
    "mlflow.loggedArtifacts",
}


@pytest.fixture(scope="module")
def trials(finished):
    """Optuna's trials of the finished study by the role of their study."""
    storage = open_storage(finished.study.tracking.storage, finished.folder.journal)
    studies = {study.study_name: storage.get_all_trials(study._study_id) for study in storage.get_all_studies()}
    assert studies.keys() == {f"{finished.study.id}/{role}" for role in ("masks", "training", "final", "baselines")}
    return {name.rpartition("/")[2]: found for name, found in studies.items()}


def test_the_journal_keeps_a_trial_under_these_names(trials):
    trained = max(trials["masks"], key=lambda trial: len(trial.user_attrs["result"]))
    kept = {"number", "attempt", "seed", "distribution", "group_reason", "training"} | {
        *("scored", "measured/2", "result", "outcome"),
    }
    # How far a trial came before it was decided on is chance, and so is whether its own word of its end was needed.
    assert trained.user_attrs.keys() - {"measured/4", "end"} == kept
    assert trained.params.keys() == {"source"} | {f"theta/{name}" for name in LAYERS}
    distribution = {"source", "temperature", "batch_seed", "theta", "allocation"}
    assert trained.user_attrs["distribution"].keys() == distribution
    # What took how long stands in the ledger alone.
    scored, measured = {"seconds/source", "seconds/scoring"}, {"seconds/training", "seconds/validation"}
    assert trained.user_attrs["scored"].keys() == SCORED | {"digest", "training/iterations"} | scored
    assert trained.user_attrs["measured/2"].keys() == WARMED | measured
    known = SCORED | WARMED | {"digest", "gate"} | scored | measured
    assert all(trial.user_attrs["result"].keys() <= known | {"outcome", "reason"} for trial in trials["masks"])
    assert trained.user_attrs["result"].keys() >= known


def test_the_journal_keeps_a_full_training_under_these_names(trials):
    for trial in trials["final"]:
        assert trial.user_attrs.keys() == {"label", "outcome", "accuracy/final", "result"}
        assert trial.user_attrs["result"].keys() - {"of"} == {"training", "training/iterations", "cost/iterations"}


def test_the_searched_training_settings_are_parameters_of_their_own_study(trials):
    assert {name for trial in trials["training"] for name in trial.params} == {"learning_rate"}


@pytest.fixture(scope="module")
def client(finished) -> MlflowClient:
    return MlflowClient(tracking_uri=Home(finished.folder.path.parent).tracking_uri)


@pytest.fixture(scope="module")
def runs(finished, client):
    """MLflow's runs of the finished study by name."""
    return runs_of(client, f"digits_cnn digits 0.98 {finished.study.id}")


def _artifacts(client, run) -> set[str]:
    return {file.path for file in client.list_artifacts(run.info.run_id)}


def test_mlflow_holds_a_trial_under_these_names(finished, client, runs):
    winner = runs[finished.rows[0].label]
    assert winner.data.params.keys() == TRIAL_PARAMS | TRAINING
    assert winner.data.metrics.keys() == SCORED | WARMED | FINAL | {"accuracy/warmup", "spectral/z_l2"}
    assert winner.data.tags.keys() - {"fullspectrum.reason"} == TRIAL_TAGS | {"fullspectrum.final_outcome"}
    artifacts = {"mask.safetensors", "candidates.json", "coordinate.json", "coordinate.png"}
    assert _artifacts(client, winner) == artifacts | {"end_weights.safetensors"}
    assert winner.data.tags["fullspectrum.kind"] == "trial"


def test_mlflow_holds_the_search_under_these_names(finished, client, runs):
    parent = runs[f"search {finished.study.id}"]
    assert parent.data.params.keys() == STUDY_PARAMS
    own = {"spectral/objective", "accuracy/warmup", "cost/search"}
    assert parent.data.metrics.keys() == SCORES | own | FINAL - {"training/iterations"}
    assert parent.data.tags.keys() == OWN_TAGS | {
        *("mlflow.note.content", "mlflow.loggedArtifacts"),
        *("fullspectrum.best", "fullspectrum.export", "fullspectrum.verdict"),
    }
    assert _artifacts(client, parent) == {
        "study.json",
        "environment.json",
        "network.json",
        "init.safetensors",
        "leaderboard.json",
        "audit.json",
        "accuracies.png",
        "scores.png",
        "cost.png",
        "history.png",
        "best",
    }
    assert {file.path for file in client.list_artifacts(parent.info.run_id, "best")} == {
        f"best/{name}"
        for name in ("mask.safetensors", "weights.safetensors", "end_weights.safetensors", "recipe.json", "load.py")
    }
    assert parent.data.tags["fullspectrum.kind"] == "study"


@pytest.mark.parametrize(
    ("label", "tags", "artifacts"),
    [
        ("dense", set(), set()),
        ("erk-random", set(), {"mask.safetensors"}),
        ("shuffled", {"fullspectrum.of"}, {"mask.safetensors"}),
        ("reinitialised", {"fullspectrum.of"}, {"mask.safetensors", "weights.safetensors"}),
    ],
)
def test_mlflow_holds_a_baseline_under_these_names(client, runs, label, tags, artifacts):
    baseline = runs[label]
    weights = "init_seed" if label == "reinitialised" else "weights_digest"
    assert baseline.data.params.keys() == TRAINING | {"pretraining.iterations", weights}
    assert baseline.data.metrics.keys() == FINAL
    assert baseline.data.tags.keys() == NESTED_TAGS | tags
    assert _artifacts(client, baseline) == artifacts
    assert baseline.data.tags["fullspectrum.kind"] == "baseline"


def test_a_run_is_known_by_the_study_and_its_label(finished, runs):
    assert {run.data.tags["fullspectrum.key"] for run in runs.values()} == {
        finished.study.id,
        *(f"{finished.study.id}/{name}" for name in runs if not name.startswith("search ")),
    }


def test_the_files_of_a_study_have_these_names(finished):
    top = {path.name for path in finished.folder.path.iterdir()}
    assert top == {
        "study.json",
        "journal.log",
        "spool.jsonl",
        "spool.jsonl.lock",
        "spool.delivered",
        "record.json",
        "init.safetensors",
        "driver.lock",
        "board.json",
        "sources.json",
        "report",
        "trials",
        "baselines",
        "best",
    }
    first = finished.folder.path / "trials" / "00000"
    assert {path.name for path in first.iterdir()} >= {"mask.safetensors", "candidates.json", "coordinate.json"}
    assert Path(finished.folder.path.parent / "mlflow.db").is_file()
