"""`fullspectrum check`: a mask beside what is left of it without its choices."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fullspectrum.models.masks import MaskSet
from fullspectrum.search.cli import main
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import Home
from fullspectrum.search.final.baselines import other_weights
from fullspectrum.search.final.origin import settings_of
from fullspectrum.search.final.sanity import LABELS, MASK, SanityCheck
from fullspectrum.search.protocol.label import SHUFFLED
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.training import Entry, TrainingEnd
from fullspectrum.search.record.check_recorder import CheckRecorder
from mlflow import MlflowClient


def check_of(missing: dict[str, str] | None = None, **accuracies: list[float]) -> SanityCheck:
    check = SanityCheck(3, 1000, missing or {})
    for label, values in accuracies.items():
        # They end in any order.
        for repeat, value in reversed(list(enumerate(values))):
            end = TrainingEnd(Outcome.FINISHED, 10, value - 0.01, value)
            check.add(SimpleNamespace(label=label, repeat=repeat), end)
    return check


def test_a_mask_that_beats_its_shuffle_is_said_to():
    check = check_of(mask=[0.9, 0.91, 0.9], shuffled=[0.7, 0.71, 0.7], inverted=[0.3, 0.31, 0.3])
    assert check.verdict().startswith("The mask beats its own layerwise shuffle, 0.7033: which weights it keeps counts")
    assert check.comparisons().keys() == {"shuffled", "inverted"}


def test_a_mask_that_does_not_beat_its_shuffle_is_worth_its_layer_sparsities():
    check = check_of(mask=[0.9, 0.91, 0.9], shuffled=[0.9, 0.89, 0.91])
    assert "nothing shows that it is worth more than its layer sparsities" in check.verdict()


def test_a_baseline_that_diverged_is_missing_with_its_reason():
    check = check_of(mask=[0.9])
    check.add(SimpleNamespace(label="shuffled", repeat=0), TrainingEnd(Outcome.DIVERGED, 7, reason="the loss is nan"))
    assert check.verdict() == "Nothing can be said of the mask: the loss is nan."
    rows = {row["trained"]: row for row in check.to_dict()["rows"]}
    assert rows["shuffled"] == {
        "trained": "shuffled",
        "accuracy/val_final": [],
        "accuracy/final": [],
        "missing": "the loss is nan",
    }


def test_accuracies_stand_in_the_order_of_the_repetitions():
    assert check_of(mask=[0.9, 0.7, 0.8]).accuracies("mask") == [0.9, 0.7, 0.8]


def test_trainings_that_diverged_are_told_beside_those_that_count():
    check = check_of(mask=[0.9, 0.91], shuffled=[0.7, 0.71, 0.7])
    check.add(SimpleNamespace(label="mask", repeat=2), TrainingEnd(Outcome.DIVERGED, 7, reason="the loss is nan"))
    assert check.verdict().startswith("The mask beats its own layerwise shuffle")
    assert check.verdict().endswith(" 1 of 3 trainings of the mask did not end well and do not count.")


class Events:
    """What a spool is told of the ends of runs."""

    def __init__(self):
        self.ended = {}

    def start(self, run, *arguments, **more):
        self.ended[run] = None

    def end(self, run, status):
        assert self.ended[run] is None
        self.ended[run] = status

    def nothing(self, *arguments):
        pass

    metrics = tags = artifact = nothing


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_whatever_ends_a_check_no_run_stays_open(error, status):
    masks = MaskSet({"a": np.ones((2, 2), dtype=bool)})
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.0})
    spool = Events()
    recorder = CheckRecorder(spool, "key", study)
    with pytest.raises(error), recorder.opened("check", masks):
        for label in (MASK, SHUFFLED):
            recorder.start(Entry(label, masks, file=Path(label)))
        recorder.result(Entry(MASK, masks), TrainingEnd(Outcome.FINISHED, 10, 0.5, 0.5))
        raise error
    assert spool.ended == {"key": status, "key/mask 0": "FINISHED", "key/shuffled 0": status}


@pytest.mark.parametrize(
    ("metadata", "settings"),
    [
        ({}, {"keep_dense": []}),
        ({"source": "snip", "rounds": "7"}, {"sources": ["snip"], "rounds": 7, "keep_dense": []}),
        ({"source": "file:/etc/passwd"}, {"keep_dense": []}),
        ({"source": "nonsense", "images_per_class": "-3", "rounds": "x"}, {"keep_dense": []}),
        ({"images_per_class": "9" * 5000, "rounds": "0"}, {"keep_dense": []}),
        ({"keep_dense": '["a", "b"]'}, {"keep_dense": ["a"]}),
        ({"keep_dense": "[1"}, {"keep_dense": []}),
    ],
)
def test_a_mask_file_is_believed_as_far_as_it_makes_sense(metadata, settings):
    assert settings_of(MaskSet({"a": np.ones((2, 2), dtype=bool)}, metadata)) == settings


@pytest.fixture(scope="module")
def snip(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("masks") / "mask.safetensors")
    arguments = ["--model", "digits_cnn", "--data", "digits", "--source", "snip", "--sparsity", "0.98", "-o", path]
    assert main(["sample", *arguments]) == 0
    return path


def test_a_check_trains_all_of_them_and_records_every_training(snip, tmp_path, capsys):
    arguments = ["check", snip, "--model", "digits_cnn", "--data", "digits", "--home", str(tmp_path)]
    assert main([*arguments, "--set", "final.epochs=2", "--repeats", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["trained"] for row in document["rows"]] == list(LABELS)
    assert all(len(row["accuracy/final"]) == 2 for row in document["rows"])
    assert (document["repeats"], document["test_images"]) == (2, 359)

    client = MlflowClient(tracking_uri=Home(tmp_path).tracking_uri)
    experiment = client.get_experiment_by_name("fullspectrum checks").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert runs.keys() == {"check mask.safetensors", *(f"{label} {n}" for label in LABELS for n in range(2))}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for row in document["rows"]:
        recorded = [runs[f"{row['trained']} {n}"].data.metrics["accuracy/final"] for n in range(2)]
        assert sorted(recorded) == sorted(row["accuracy/final"])
    kinds = {name: run.data.tags["fullspectrum.kind"] for name, run in runs.items()}
    assert {name for name, kind in kinds.items() if kind == "mask"} == {"mask 0", "mask 1"}
    assert {name for name, kind in kinds.items() if kind == "check"} == {"check mask.safetensors"}
    parent = runs["check mask.safetensors"]
    assert parent.data.tags["mlflow.note.content"] == document["verdict"]
    digests = {run.data.tags["fullspectrum.mask_digest"] for run in runs.values()}
    # The mask (also on other weights), its inversion, and of each repetition a shuffle and a random mask.
    assert len(digests) == 6
    others = {runs[f"reinitialised {n}"].data.params["init_seed"] for n in range(2)}
    assert others == {str(other_weights(seed)) for seed in range(2)}


def test_a_random_mask_keeps_as_many_weights_where_a_layer_has_no_mask(snip, tmp_path, capsys):
    whole = MaskSet.load(snip)
    part = MaskSet({name: mask for name, mask in whole.items() if name != "conv3.weight"}, whole.metadata)
    path = part.save(tmp_path / "part.safetensors")
    arguments = ["--model", "digits_cnn", "--data", "digits", "--home", str(tmp_path), "--repeats", "1"]
    assert main(["check", str(path), *arguments, "--set", "final.epochs=1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["trained"] for row in document["rows"] if row["accuracy/final"]] == list(LABELS)
    (file,) = tmp_path.glob("checks/*/erk-random/0/mask.safetensors")
    assert MaskSet.load(file).kept == part.kept + whole["conv3.weight"].size


def test_the_screen_names_every_training_and_ends_with_the_verdict(tmp_path, capsys):
    path = str(tmp_path / "random.safetensors")
    sampled = ["--source", "random", "--sparsity", "0.9", "-o", path]
    assert main(["sample", "--model", "digits_cnn", "--data", "digits", *sampled]) == 0
    arguments = ["--model", "digits_cnn", "--data", "digits", "--home", str(tmp_path), "--repeats", "1"]
    assert main(["check", path, *arguments, "--set", "final.epochs=1"]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines() if "±" in line)
    assert "inverted: random has no scores that could be inverted" in out
    assert "its own layerwise shuffle" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--set", "training.learning_rate={low=0.1,high=0.2}"], "check needs a value for each setting, but learning"),
        (["--model", "resnet20"], "do not fit"),
        (["--repeats", "0"], "greater than or equal to 1"),
        (["--set", "sparsity=0.5"], "--set sparsity=0.5: here sparsity is 0.97999"),
        (["--set", "model=resnet20"], "--set model=resnet20: here model is 'digits_cnn'"),
        (["--set", "seed=1"], "--set seed=1: here seed is 0"),
        (["--set", "resources.gpus=99"], "resources.gpus = 99, but this machine has "),
    ],
)
def test_a_mistake_is_one_line(snip, tmp_path, capsys, arguments, line):
    own = ["check", snip, "--data", "digits", "--home", str(tmp_path), "--model", "digits_cnn"]
    assert main([*own, *arguments]) == 2
    err = capsys.readouterr().err.strip()
    assert line in err and "\n" not in err
    assert not (tmp_path / "checks").exists()
