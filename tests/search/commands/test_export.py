"""`fullspectrum export` of a mask that changed while it trained."""

import pytest
import torch
from fullspectrum.models.masks import MaskSet
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
