"""`fullspectrum export`: of a study, of any of its runs, from a server, and of a mask that changed while it trained."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.weights import init_digest, load_state
from fullspectrum.search.cli import main
from fullspectrum.search.files import Home
from mlflow import MlflowClient

from ..conftest import run_tiny
from ..tracked import runs_of

CHANGING = (
    "search.trials=2",
    "gate.quantile=1.0",
    'training.mask="gradual"',
    "training.mask_every=2",
    "record.coordinate_every=8",
    "final.checks=false",
)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A study whose masks change in the full training."""
    return run_tiny(tmp_path_factory.mktemp("home") / "runs", *CHANGING)


def exported(target, *arguments: str) -> dict[str, torch.Tensor]:
    """The state dict that the command writes."""
    assert main(["export", *arguments, "--format", "torch-prune", "-o", str(target)]) == 0
    return torch.load(target, weights_only=True)


def test_the_mask_of_the_end_leaves_with_its_weights_from_the_study_and_from_its_run(changed, tmp_path, capsys):
    home = changed.folder.path.parent
    best, files = changed.rows[0], changed.folder.trial(changed.rows[0].number)
    start, end = MaskSet.load(files / "mask.safetensors"), MaskSet.load(files / "end_mask.safetensors")
    assert start != end and start.kept == end.kept
    name = f"best:{changed.study.id}"
    first = exported(tmp_path / "start.pt", name, "--home", str(home))
    last = exported(tmp_path / "end.pt", name, "--home", str(home), "--mask", "end")
    for masks, state in ((start, first), (end, last)):
        assert all((state[f"{key}_mask"].bool().numpy() == mask).all() for key, mask in masks.items())
    assert not torch.equal(first["conv1.weight_orig"], last["conv1.weight_orig"])

    client = MlflowClient(tracking_uri=Home(home).tracking_uri)
    run = runs_of(client, f"digits_cnn digits 0.98 {changed.study.id}")[best.label].info.run_id
    again = exported(tmp_path / "run.pt", run, "--home", str(home), "--mask", "end")
    assert all(torch.equal(value, again[key]) for key, value in last.items())


def test_the_record_has_the_coordinate_over_the_full_training_of_a_mask_that_changes(changed):
    client = MlflowClient(tracking_uri=Home(changed.folder.path.parent).tracking_uri)
    runs = runs_of(client, f"digits_cnn digits 0.98 {changed.study.id}")
    for label in (changed.rows[0].label, "erk-random"):
        run = runs[label].info.run_id
        for name in ("l2", "ramanujan_gap", "imdb", "weighted_gap", "imsg", "sparsity", "defined_layers"):
            assert [point.step for point in client.get_metric_history(run, f"coordinate/{name}")] == [0, 8, 16], name
        sparsities = [point.value for point in client.get_metric_history(run, "coordinate/sparsity")]
        assert sparsities[0] == 0 and sparsities[-1] == pytest.approx(0.98, abs=1e-4)
        assert "coordinate_over_time.png" in {file.path for file in client.list_artifacts(run)}
    assert not [name for name in runs["dense"].data.metrics if name.startswith("coordinate/")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mask", "middle"), '--mask "middle": expected start or end'),
        (("--mask", "end"), "did not change in a full training; leave --mask end out"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(finished, tmp_path, capsys, arguments, message):
    home = str(finished.folder.path.parent)
    command = ["export", f"best:{finished.study.id}", "--home", home, "--format", "torch-prune"]
    assert main([*command, "-o", str(tmp_path / "x.pt"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.fixture
def runs(finished):
    """The runs of the finished study by label."""
    client = MlflowClient(tracking_uri=Home(finished.folder.path.parent).tracking_uri)
    return runs_of(client, f"digits_cnn digits 0.98 {finished.study.id}")


def written(target: Path, capsys, *arguments: str) -> tuple[MaskSet, dict[str, torch.Tensor], str]:
    """The mask and the weights that the command writes in our own format, and what it prints."""
    assert main(["export", *arguments, "--format", "fullspectrum", "-o", str(target)]) == 0, capsys.readouterr().err
    weights = target.with_name(target.name.replace(".safetensors", ".init.safetensors"))
    return MaskSet.load(target), load_state(weights), capsys.readouterr().out


def test_a_mask_is_the_same_by_whatever_name_and_it_is_said_which_it_is(finished, runs, tmp_path, capsys):
    home, study, best = str(finished.folder.path.parent), finished.study.id, finished.rows[0]
    server = ["--tracking", Home(Path(home)).tracking_uri, "--home", str(tmp_path / "elsewhere")]
    names = [
        [f"best:{study[:6]}", "--home", home],
        [f"trial:{study}/{best.number}", "--home", home],
        [runs[best.label].info.run_id, "--home", home],
        [runs[f"search {study}"].info.run_id, "--home", home],
        [f"best:{study[:6]}", *server],
        [f"trial:{study}/{best.number}", *server],
        [runs[best.label].info.run_id, *server],
    ]
    kept = MaskSet.load(finished.folder.trial(best.number) / "mask.safetensors")
    weights = load_state(finished.folder.initial_weights)
    for number, name in enumerate(names):
        masks, state, said = written(tmp_path / f"{number}.safetensors", capsys, *name)
        assert masks == kept and init_digest(state) == init_digest(weights), name
        assert f"{best.label} of study {study}, {best.source}," in said, name


def test_the_weights_of_the_end_leave_with_a_mask_that_names_them(finished, runs, tmp_path, capsys):
    home, best = str(finished.folder.path.parent), finished.rows[0]
    ended = load_state(finished.folder.trial(best.number) / "end_weights.safetensors")
    for number, name in enumerate((f"best:{finished.study.id}", runs[best.label].info.run_id)):
        arguments = [name, "--home", home, "--weights", "end"]
        masks, state, said = written(tmp_path / f"{number}.safetensors", capsys, *arguments)
        assert "(end)" in said
        assert masks.metadata["init_digest"] == init_digest(state) == init_digest(ended)
        assert all(not state[layer].numpy()[~mask].any() for layer, mask in masks.items())


def test_a_mask_leaves_without_weights(finished, tmp_path, capsys):
    command = ["export", f"best:{finished.study.id}", "--home", str(finished.folder.path.parent), "--weights", "none"]
    assert main([*command, "--format", "fullspectrum", "-o", str(tmp_path / "mask.safetensors")]) == 0
    assert "no weights" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.init.safetensors"))
    assert main([*command, "--format", "torch-prune", "-o", str(tmp_path / "x.pt")]) == 2


def test_the_mask_on_other_weights_leaves_with_those(finished, runs, tmp_path, capsys):
    run = runs["reinitialised"]
    seed = int(run.data.params["init_seed"])
    own = build("digits_cnn", load("digits").task, seed).state_dict()
    arguments = [run.info.run_id, "--home", str(finished.folder.path.parent)]
    masks, state, said = written(tmp_path / "mask.safetensors", capsys, *arguments)
    assert "reinitialised of study" in said
    assert all(torch.equal(tensor, own[name]) for name, tensor in state.items())
    assert masks.metadata["init_seed"] == str(seed)
    assert masks.digest() == MaskSet.load(finished.folder.trial(finished.rows[0].number) / "mask.safetensors").digest()


def test_what_has_no_such_mask_or_weights_is_refused_in_one_line(finished, runs, tmp_path, capsys):
    home, study = str(finished.folder.path.parent), finished.study.id
    untrained = next(row for row in finished.rows if not row.is_baseline and row.accuracy_final is None)
    for arguments, message in [
        ((runs["dense"].info.run_id,), "the run of dense has no mask"),
        ((f"trial:{study}/99",), "has no mask of a trial 99"),
        ((f"trial:{study}",), "expected trial:STUDY/N"),
        ((f"best:{study}", "--weights", "middle"), '--weights "middle": expected start, end or none'),
        ((f"trial:{study}/{untrained.number}", "--weights", "end"), "has no weights of the end of a training"),
        (("best:ffffff", "--tracking", Home(Path(home)).tracking_uri), "there is no study 'ffffff'"),
        ((f"trial:{study}/99", "--tracking", Home(Path(home)).tracking_uri), "has no trial 99"),
    ]:
        command = ["export", *arguments, "--home", home, "--format", "fullspectrum", "-o", str(tmp_path / "x")]
        assert main(command) == 2, arguments
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_a_home_that_was_copied_and_moved_exports_its_runs_from_anywhere(finished, runs, tmp_path, capsys, monkeypatch):
    shutil.copytree(finished.folder.path.parent, tmp_path / "copy")
    run = runs[finished.rows[0].label].info.run_id
    first, *_ = written(tmp_path / "1.safetensors", capsys, run, "--home", str(tmp_path / "copy"))
    # From now on nothing is where the store says.
    (tmp_path / "copy").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    again, *_ = written(tmp_path / "2.safetensors", capsys, run, "--home", "moved")
    assert first == again
    assert not (tmp_path / "copy").exists()


def test_a_registered_model_is_loaded_from_the_registry_and_masked(finished, tmp_path, capsys, monkeypatch):
    home, target = tmp_path / "runs", tmp_path / "best.safetensors"
    shutil.copytree(finished.folder.path.parent, home)
    name = [f"best:{finished.study.id}", "--home", str(home), "--weights", "end"]
    for version in ("1", "2"):
        _, state, said = written(target, capsys, *name, "--register", "digits-best")
        assert f"registered as digits-best, version {version}" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Home(home).tracking_uri)
    model = mlflow.pyfunc.load_model("models:/digits-best/2")
    images = np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)
    network = build("digits_cnn", load("digits").task, 0).eval()
    network.load_state_dict(state)
    with torch.no_grad():
        assert np.allclose(model.predict(images), network(torch.from_numpy(images)).numpy(), atol=1e-6)
    assert model.metadata.signature.inputs.input_types()[0] == np.float32
    assert model.metadata.saved_input_example_info is not None
    # Nothing that is run when it is read.
    files = [path.name for path in home.glob("artifacts/*/*/artifacts/model/**/*") if path.is_file()]
    assert {"weights.safetensors", "mask.safetensors"} <= set(files)
    assert not [file for file in files if file.endswith((".pkl", ".pt", ".pth", ".bin"))]
