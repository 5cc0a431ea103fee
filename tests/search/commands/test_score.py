"""`fullspectrum score`: what it prints, as a table, as JSON and as a picture, and how it stands beside chance."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fullspectrum.models.layers import layout, prunable
from fullspectrum.models.layout import Layout
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.task import Task
from fullspectrum.models.weights import save_state
from fullspectrum.search.cli import main
from fullspectrum.search.commands import masks as masks_of_commands
from fullspectrum.search.commands.masks import layout_for
from fullspectrum.search.guards.counter import PathCounter
from fullspectrum.search.scores.registry import SCORES as SCORES_ON_RECORD
from fullspectrum.search.screen import stepper
from fullspectrum.spectral.coordinate import FIELDS
from torch import nn

SCORES = [f"z_{field}" for field in FIELDS]


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("masks") / "mask.safetensors"
    sample = ["sample", "--model", "digits_cnn", "--data", "digits", "--source", "snip", "--sparsity", "0.98"]
    assert main([*sample, "--seed", "3", "-o", str(path)]) == 0
    return path


@pytest.fixture
def scored(capsys):
    """Runs the command; returns what it printed on stdout and on stderr."""

    def run(*arguments: object) -> tuple[str, str]:
        assert main(["score", *map(str, arguments)]) == 0
        return capsys.readouterr()

    return run


@pytest.fixture
def document(scored):
    """Runs the command with `--json`; returns the one document that stdout must be."""
    return lambda *arguments: json.loads(scored(*arguments, "--json")[0])


def test_it_prints_one_json_document(mask_file, scored):
    out, err = scored(mask_file, "--json")
    document = json.loads(out)
    assert err == ""
    assert document["reference"] == "origin"
    assert (document["aggregate"], document["variant"]) == ("sum", "paper")
    assert list(document["scores"]) == list(SCORES_ON_RECORD)
    assert document["scores"]["l2"] == document["l2"]
    assert all(value is not None for value in document["scores"].values())
    assert list(document["mean"]) == ["ramanujan_gap", "imdb", "weighted_gap", "imsg"]
    layers = document["layers"]
    assert list(layers) == list(MaskSet.load(mask_file))
    vectors = [[layer[field] or 0.0 for field in document["mean"]] for layer in layers.values()]
    assert document["l2"] == pytest.approx(sum(sum(x * x for x in vector) ** 0.5 for vector in vectors))
    assert all({"sparsity", "sigma1", "sigma2", *SCORES} <= layer.keys() for layer in layers.values())
    chance = document["chance"]["l2"]
    assert chance["z"] == pytest.approx((document["l2"] - chance["mean"]) / chance["std"])


def test_the_weights_are_those_that_the_mask_names(mask_file, document):
    named = document(mask_file)
    assert named == document(mask_file, "--model", "digits_cnn", "--seed", "3")
    assert named["mean"]["weighted_gap"] > 0


def test_other_initial_weights_are_warned_of(mask_file, scored):
    assert "made for other weights" in scored(mask_file, "--model", "digits_cnn", "--seed", "4", "--json")[1]


def test_a_mask_file_never_makes_a_users_function_run(tmp_path, document, monkeypatch):
    (tmp_path / "evil.py").write_text("def network(**_):\n    open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    MaskSet({"fc.weight": torch.ones(4, 4)}, {"model": "evil:network"}).save("mask.safetensors")
    assert document("mask.safetensors")["mean"]["weighted_gap"] is None
    assert not Path("ran").exists()


def test_a_mask_file_that_names_other_sizes_takes_no_memory_for_them(tmp_path, capsys):
    path = tmp_path / "mask.safetensors"
    metadata = {"model": "digits_cnn", "input": "[1000000000, 8, 8]", "classes": "10"}
    MaskSet({"conv1.weight": torch.ones(32, 1, 3, 3)}, metadata).save(path)
    assert main(["score", str(path)]) == 2
    assert "(32, 1000000000, 3, 3)" in capsys.readouterr().err


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("reference", ["origin", "random", "dense"])
@pytest.mark.parametrize("aggregate", ["sum", "mean_vector"])
def test_the_settings_of_the_distance_are_named_with_the_value(mask_file, document, reference, aggregate, variant):
    found = document(mask_file, "--reference", reference, "--aggregate", aggregate, "--variant", variant)
    assert (found["reference"], found["aggregate"], found["variant"]) == (reference, aggregate, variant)
    assert found["l2"] == found["scores"]["l2"] > 0


def test_everything_that_is_printed_is_in_the_variant_that_was_asked_for(mask_file, document, scored):
    paper, authors = document(mask_file), document(mask_file, "--variant", "authors")
    vectors = [[layer[field] or 0.0 for field in FIELDS] for layer in authors["layers"].values()]
    assert authors["l2"] == pytest.approx(sum(np.linalg.norm(vector) for vector in vectors))
    assert authors["l2"] == authors["scores"]["l2_authors"] == paper["scores"]["l2_authors"] != paper["l2"]
    assert authors["chance"] != paper["chance"]
    out, _ = scored(mask_file, "--variant", "authors")
    assert f"distance {authors['l2']:.4f} (reference origin, aggregate sum, variant authors)" in out
    assert f"live channels {authors['scores']['live_channels']:.4g}, kept magnitude " in out


def test_live_channels_are_those_of_the_network_where_it_is_known(mask_file, document, tmp_path):
    masks = MaskSet.load(mask_file)
    dead = PathCounter(build("digits_cnn", Task(1, 8, 10), 0), Task(1, 8, 10)).check(masks).dead_channels
    assert document(mask_file, "--chance", 0)["scores"]["live_channels"] == 1 - dead
    MaskSet(masks).save(tmp_path / "nameless.safetensors")
    assert document(tmp_path / "nameless.safetensors", "--chance", 0)["scores"]["live_channels"] is None


def test_from_the_start_it_is_the_way_that_training_has_moved_the_mask(mask_file, document, tmp_path):
    state = initial_state(build("digits_cnn", Task(1, 8, 10), 3))
    save_state(tmp_path / "later.safetensors", {name: 2 * values for name, values in state.items()})
    moved = document(mask_file, "--reference", "start", "--weights", tmp_path / "later.safetensors", "--chance", 2)
    layers = document(mask_file)["layers"].values()
    # Twice the weights: the weighted gaps have moved by themselves.
    expected = sum(np.hypot(layer["weighted_gap"], layer["imsg"] or 0.0) for layer in layers)
    assert moved["l2"] == pytest.approx(expected, rel=1e-6)
    assert moved["chance"]["l2"]["z"] is not None


def rows_of_scores(table: str) -> list[list[str]]:
    return [line.split()[1:] for line in table.splitlines() if line.split()[:1] == ["z"]]


def test_the_table_has_a_row_of_scores_under_each_layer_and_a_sentence_against_chance(mask_file, scored, document):
    (out, _), values = scored(mask_file), document(mask_file)
    assert all(name.removesuffix(".weight") in out for name in values["layers"])
    assert rows_of_scores(out) == [
        ["–" if layer[score] is None else f"{layer[score]:+.1f}" for score in SCORES]
        for layer in values["layers"].values()
    ]
    assert f"full-spectrum L2 distance {values['l2']:.4f}" in out
    chance = values["chance"]["l2"]
    assert f"That is {chance['z']:.1f} standard deviations above random masks of the same layer sparsities" in out
    assert f"({chance['mean']:.4f} ± {chance['std']:.4f})" in out


def test_without_chance_nothing_is_said_of_it(mask_file, scored, document):
    out, _ = scored(mask_file, "--chance", 0)
    assert rows_of_scores(out) == []
    assert "random masks" not in out
    values = document(mask_file, "--chance", 0)
    assert "chance" not in values
    assert not any(key.startswith("z_") for layer in values["layers"].values() for key in layer)


def test_masks_without_weights_stand_beside_chance_too(tmp_path, scored, document):
    path = tmp_path / "mask.safetensors"
    MaskSet({"fc.weight": np.random.default_rng(0).random((60, 60)) < 0.2}).save(path)
    layer = document(path)["layers"]["fc.weight"]
    assert abs(layer["z_ramanujan_gap"]) < 5
    assert layer["weighted_gap"] is layer["z_weighted_gap"] is None
    out, _ = scored(path)
    assert "standard deviations" in out
    assert "The weighted gaps λ need the initial weights" in out


def test_where_random_masks_are_all_alike_there_is_no_chance(tmp_path, scored, document):
    path = tmp_path / "dense.safetensors"
    MaskSet({"fc.weight": np.ones((8, 8))}).save(path)
    assert "Random masks of the same layer sparsities are all alike" in scored(path)[0]
    values = document(path)
    assert values["chance"]["l2"]["z"] is None
    assert [values["layers"]["fc.weight"][score] for score in SCORES] == [None] * 4


def test_progress_is_told_on_stderr_and_stdout_holds_the_document_alone(mask_file, scored, monkeypatch):
    monkeypatch.setattr(stepper, "PLAIN_EVERY", 0.0)
    out, err = scored(mask_file, "--chance", 2, "--json")
    json.loads(out)
    assert "scoring: 1 of 5 done (conv1.weight)" in err
    assert "scoring random masks: 9 of 10 done" in err


NETWORK = """
from torch import nn
def network(channels, size, classes):
    return nn.ModuleDict({"conv": nn.Conv2d(8, 16, 3, groups=2), "tokens": nn.Embedding(40, 12)})
"""


@pytest.fixture
def grouped(tmp_path, monkeypatch) -> tuple[nn.Module, dict[str, np.ndarray], dict[str, str]]:
    """A user's network, its weights in `weights.safetensors`; masks for it, and what a mask file says it takes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("grouped_network.py").write_text(NETWORK)
    network = build("grouped_network:network", Task(1, 8, 10), 0)
    generator = np.random.default_rng(0)
    masks = {name: generator.random(weight.shape) < 0.5 for name, weight in prunable(network).items()}
    save_state(Path("weights.safetensors"), initial_state(network))
    return network, masks, {"input": "[1, 8, 8]", "classes": "10"}


def test_the_layout_is_that_of_the_named_network_or_of_the_mask_file(grouped, document):
    network, masks, task = grouped
    MaskSet(masks, task | layout(network).to_metadata()).save("told.safetensors")
    MaskSet(masks, task).save("untold.safetensors")
    weights = ["--weights", "weights.safetensors"]

    named = document("untold.safetensors", "--model", "grouped_network:network", "--plot", "named.png")
    assert named["scores"]["live_channels"] is None  # it cannot be called
    told = document("told.safetensors", *weights, "--plot", "told.png")
    assert named.pop("cost")["network"] and not told.pop("cost")["network"]
    assert told == named
    assert all(Path(name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for name in ("named.png", "told.png"))
    untold = document("untold.safetensors", *weights)["layers"]
    assert all(untold[name] != layer for name, layer in named["layers"].items())


def test_a_picture_is_named_once_it_is_written(mask_file, scored, tmp_path):
    picture = tmp_path / "mask.svg"
    assert f"wrote {picture}" in scored(mask_file, "--plot", picture)[0].splitlines()
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--chance", "1"], "give 2 or more, or 0 for none"),
        (["--chance", "-1"], "--chance"),
        (["--plot", "mask.txt"], "ends in .png, .pdf, .svg"),
        (["--plot", "mask.png", "--chance", "0"], "give --chance 2 or more"),
        (["--plot", "nowhere/mask.png"], "there is no folder nowhere"),
        (["--variant", "author"], "unknown --variant 'author', did you mean \"authors\"?"),
        (["--reference", "start"], "give those of a later step with --weights"),
    ],
)
def test_what_cannot_be_drawn_or_held_against_chance_is_refused_in_one_line(
    mask_file, arguments, expected, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["score", str(mask_file), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert expected in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("mask", "weight", "expected"),
    [(np.eye(2)[0], np.ones(2), "at least 2 axes"), (np.eye(2), [[1.0, np.nan]] * 2, "must be finite")],
)
def test_files_that_cannot_be_scored_are_the_users_mistake(tmp_path, capsys, mask, weight, expected):
    masks, weights = tmp_path / "mask.safetensors", tmp_path / "weights.safetensors"
    MaskSet({"fc.weight": mask}).save(masks)
    save_state(weights, {"fc.weight": torch.tensor(np.array(weight, dtype=np.float32))})
    assert main(["score", str(masks), "--weights", str(weights)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line


def test_masks_of_a_wrapped_network_are_scored_on_its_weights(grouped, document):
    _, masks, task = grouped
    MaskSet(masks, task).save("plain.safetensors")
    MaskSet({f"module.{name}": mask for name, mask in masks.items()}, task).save("wrapped.safetensors")
    same = ["--weights", "weights.safetensors", "--model", "grouped_network:network", "--chance", 0]
    plain, wrapped = document("plain.safetensors", *same), document("wrapped.safetensors", *same)
    assert wrapped["layers"] == {f"module.{name}": layer for name, layer in plain["layers"].items()}
    assert plain["mean"]["weighted_gap"] is not None


def test_the_layout_is_that_of_a_known_network_that_the_file_names(tmp_path, monkeypatch):
    monkeypatch.setattr(masks_of_commands, "layout", lambda network: Layout({"conv2.weight": 2}))
    file = MaskSet({"conv2.weight": np.ones((64, 32, 3, 3))}, {"model": "digits_cnn", "groups": '{"conv2.weight": 4}'})
    assert layout_for(file, None) == Layout({"conv2.weight": 2})
    stranger = MaskSet(file, file.metadata | {"model": "mine:net"})
    assert layout_for(stranger, None) == Layout({"conv2.weight": 4})


def test_where_nothing_says_what_a_network_takes_the_file_says_how_its_weights_lie(grouped, document):
    network, masks, task = grouped
    told = layout(network).to_metadata()
    MaskSet(masks, task | told).save("told.safetensors")
    MaskSet(masks, told).save("without_input.safetensors")
    arguments = ["--weights", "weights.safetensors", "--model", "grouped_network:network", "--chance", 0]
    without, told = (document(f"{name}.safetensors", *arguments) for name in ("without_input", "told"))
    assert told.pop("cost")["network"] and not without.pop("cost")["network"]
    assert without == told


def test_without_weights_a_network_is_asked_for_what_it_takes(grouped, capsys):
    MaskSet(grouped[1]).save("mask.safetensors")
    assert main(["score", "mask.safetensors", "--model", "grouped_network:network"]) == 2
    assert "does not say what 'grouped_network:network' takes; give the weights" in capsys.readouterr().err


def test_it_says_what_the_mask_costs(mask_file, document, scored):
    cost = document(mask_file, "--chance", "0")["cost"]
    masks = MaskSet.load(mask_file)
    assert (cost["parameters"], cost["parameters_dense"], cost["latency"]) == (masks.kept, masks.size, None)
    assert cost["network"]["parameters_dense"] - cost["network"]["parameters"] == masks.size - masks.kept
    assert cost["layers"]["fc2.weight"]["flops"] == 2 * int(masks["fc2.weight"].sum())
    assert cost["network"]["flops"] < cost["network"]["flops_dense"]
    out = scored(mask_file, "--chance", "0")[0]
    line = (
        f"Cost: {cost['network']['parameters']:,} of the network's {cost['network']['parameters_dense']:,} parameters"
    )
    assert line in out and "FLOPs an image" in out and "Latency" not in out


def test_latency_is_measured_where_it_is_asked_for(mask_file, document, scored):
    latency = document(mask_file, "--chance", "0", "--cost")["cost"]["latency"]
    assert latency["layers"].keys() == set(MaskSet.load(mask_file))
    assert (latency["masked"], latency["threads"]) == (5, torch.get_num_threads())
    assert latency["dense"] > 0 and latency["csr"] > 0
    out = scored(mask_file, "--chance", "0", "--cost")[0]
    assert "5 of 5 masked layers as compressed sparse rows" in out and "CSR ms" in out


def test_without_a_network_parameters_and_bytes_are_known(tmp_path, document, scored):
    path = MaskSet({"fc.weight": np.eye(4)}).save(tmp_path / "mask.safetensors")
    cost = document(path, "--chance", "0", "--cost")["cost"]
    assert (cost["parameters"], cost["bytes_csr"], cost["bytes_dense"]) == (4, 5 * 8 + 4 * 8 + 4 * 4, 64)
    assert (cost["network"], cost["flops"], cost["latency"]) == (None, None, None)
    out = scored(path, "--chance", "0", "--cost")[0]
    assert "Cost: 4 of the masked 16 parameters, 88 B as compressed sparse rows, 64 B dense" in out
    assert "give --model" in out


def test_names_of_a_wrapper_are_those_of_the_mask_file(mask_file, tmp_path, document):
    masks = MaskSet.load(mask_file)
    wrapped = MaskSet({f"module.{name}": mask for name, mask in masks.items()}, masks.metadata)
    cost = document(wrapped.save(tmp_path / "mask.safetensors"), "--chance", "0", "--cost")["cost"]
    expected = document(mask_file, "--chance", "0")["cost"]
    assert cost["layers"] == {f"module.{name}": layer for name, layer in expected["layers"].items()}
    assert cost["latency"]["layers"].keys() == cost["layers"].keys()
