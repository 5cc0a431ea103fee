"""`fullspectrum convert`, and other trainers' files where a mask file is expected."""

import json
import os
from pathlib import Path

import pytest
import torch
from fullspectrum.models.formats import FORMATS, export, load, read
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import initial_state
from fullspectrum.models.weights import load_state, save_state
from fullspectrum.search.cli import main
from torch.nn.utils import prune

ON_DIGITS = ("--model", "digits_cnn", "--data", "digits", "--set", "final.epochs=1", "--set", "training.batch_size=512")


@pytest.fixture
def masks(network) -> MaskSet:
    generator = torch.Generator().manual_seed(0)
    names = ("conv1.weight", "conv2.weight", "conv3.weight", "fc1.weight", "fc2.weight")
    return MaskSet({name: torch.rand(network.state_dict()[name].shape, generator=generator) < 0.3 for name in names})


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def ran(capsys, *arguments: str) -> tuple[str, str]:
    """Run a command that succeeds; return what it printed on stdout and stderr."""
    assert main(list(arguments)) == 0, capsys.readouterr().err
    captured = capsys.readouterr()
    return captured.out, captured.err


def refused(capsys, *arguments: str) -> str:
    """Run a command that is refused; return its one line."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return line


def converted(path: str) -> dict[str, object]:
    """Return what the sidecar of an export says of the file that it was made from."""
    return json.loads(Path(f"{path}.json").read_text())["provenance"]["converted"]


@pytest.mark.parametrize("name", FORMATS)
def test_masks_and_weights_are_converted_to_every_format(capsys, network, masks, name):
    state = initial_state(network)
    export("torch-prune", "best.pt", masks, state, provenance={"study": "abc"})
    printed, _ = ran(capsys, "convert", "best.pt", "out.pt", "--to", name)
    assert f"read best.pt: format torch-prune: 5 layers, {masks.kept:,} of {masks.size:,} weights kept" in printed
    assert f"out.pt.json, out.pt.py: format {name}, masks and weights" in printed
    assert load(name, "out.pt", state)[0] == masks
    assert converted("out.pt") == {
        "file": "best.pt",
        "format": "torch-prune",
        "inferred": False,
        "metadata": {},
        "provenance": {"study": "abc"},
    }


def test_metadata_of_our_masks_go_with_them(capsys, network, masks):
    MaskSet(masks, {"source": "snip", "seed": "3"}).save("a.safetensors")
    ran(capsys, "convert", "a.safetensors", "a.pt", "--to", "nni")
    assert converted("a.pt")["metadata"] == {"source": "snip", "seed": "3"}


@pytest.mark.parametrize("beside", ["[", "{}", '{"mask_digest": "0"}', "[" * 100_000, "\udcff"])
def test_what_stands_beside_a_file_and_is_not_about_it_does_not_go_along(capsys, masks, beside):
    masks.save("a.safetensors")
    Path("a.safetensors.json").write_text(beside, errors="surrogateescape")
    ran(capsys, "convert", "a.safetensors", "a.pt", "--to", "itop")
    assert converted("a.pt")["provenance"] is None


def test_weights_are_given_where_there_are_none_and_a_prefix_is_put_before_all(capsys, network, masks):
    state = initial_state(network)
    export("itop", "best.pt", masks, None)
    assert "cannot be written without weights" in refused(capsys, "convert", "best.pt", "o.pt", "--to", "modelopt")
    save_state("w.safetensors", state)
    torch.save(network.state_dict(), "w.pt")
    for weights in ("w.safetensors", "w.pt"):
        ran(capsys, "convert", "best.pt", "o.pt", "--to", "modelopt", "--weights", weights, "--prefix", "net.")
        loaded, found = load("modelopt", "o.pt")
        assert list(loaded) == [f"net.{name}" for name in masks]
        assert all(torch.equal(found[f"net.{name}"], tensor) for name, tensor in state.items())


def test_a_mask_that_had_to_be_inferred_is_said_to_be(capsys, network, masks):
    state = initial_state(network)
    state["fc2.weight"][torch.tensor(masks["fc2.weight"])] = 0
    export("torch-prune", "best.pt", masks, state)
    printed, _ = ran(capsys, "convert", "best.pt", "plain.pt", "--to", "state-dict")
    lost = int(masks["fc2.weight"].sum())
    assert f"{lost} kept weights are exactly 0: whoever reads plain.pt takes them for removed" in printed
    printed, _ = ran(capsys, "convert", "plain.pt", "again.safetensors", "--to", "fullspectrum")
    assert "format state-dict" in printed and "it holds no mask: what is 0 was taken for removed" in printed
    assert MaskSet.load("again.safetensors").kept == masks.kept - lost


def test_a_list_without_names_needs_the_network_or_its_weights(capsys, network, masks):
    export("rigl-torch", "rigl.pt", masks, initial_state(network))
    os.rename("rigl.init.pt", "w.pt")
    line = refused(capsys, "convert", "rigl.pt", "o.pt", "--to", "itop")
    assert "format rigl-torch names no parameters; name the network (--model), or give its weights (--weights)" in line
    for option in (("--model", "digits_cnn"), ("--weights", "w.pt")):
        ran(capsys, "convert", "rigl.pt", "o.pt", "--to", "itop", *option)
        assert read("o.pt").masks == masks


def test_a_dense_mask_is_said_to_be(capsys, network):
    prune.identity(network.fc2, "weight")
    torch.save(network.state_dict(), "dense.pt")
    assert "it is dense" in ran(capsys, "convert", "dense.pt", "o.pt", "--to", "open-lth")[0]


def test_mistakes_are_refused_in_one_line(capsys, network, masks):
    export("torch-prune", "best.pt", masks, initial_state(network))
    before = set(os.listdir())
    to = ("--to", "nni")
    assert 'unknown format "nny", did you mean "nni"' in refused(capsys, "convert", "best.pt", "o.pt", "--to", "nny")
    assert 'unknown format "x"' in refused(capsys, "convert", "best.pt", "o.pt", *to, "--from", "x")
    assert "is what is to be read" in refused(capsys, "convert", "best.pt", "./best.pt", *to)
    assert "there is no folder" in refused(capsys, "convert", "best.pt", "nowhere/o.pt", *to)
    assert "cannot be read" in refused(capsys, "convert", "missing.pt", "o.pt", *to)
    assert "prefix 'net'" in refused(capsys, "convert", "best.pt", "o.pt", *to, "--prefix", "net")
    assert "do not fit the model" in refused(capsys, "convert", "best.pt", "o.pt", *to, "--model", "resnet20")
    assert "give its weights with --weights" in refused(capsys, "convert", "best.pt", "o.pt", *to, "--model", "a:b")
    assert "holds no backward_masks" in refused(capsys, "convert", "best.pt", "o.pt", *to, "--from", "rigl-torch")
    assert set(os.listdir()) == before


def test_score_takes_the_file_of_another_trainer_with_its_weights(capsys, network, masks):
    state = initial_state(network)
    export("fullspectrum", "best.safetensors", masks, state)
    export("torch-prune", "best.pt", masks, state)
    expected, _ = ran(
        capsys, "score", "best.safetensors", "--weights", "best.init.safetensors", "--json", "--chance", "0"
    )
    printed, said = ran(capsys, "score", "best.pt", "--json", "--chance", "0")
    assert json.loads(printed) == json.loads(expected)
    assert "fullspectrum: best.pt: format torch-prune: 5 layers" in said
    assert "its weights are taken unless others are given" in said


def test_score_names_the_layers_of_a_list_by_the_network(capsys, network, masks):
    export("rigl-torch", "rigl.pt", masks, initial_state(network))
    os.remove("rigl.init.pt")
    options = ("--json", "--chance", "0")
    assert list(json.loads(ran(capsys, "score", "rigl.pt", *options)[0])["layers"]) == ["0", "1", "2", "3", "4"]
    named = json.loads(ran(capsys, "score", "rigl.pt", "--model", "digits_cnn", *options)[0])
    assert list(named["layers"]) == list(masks)


@pytest.mark.parametrize("name", ["torch-prune", "synaptic-flow", "rigl-torch", "nni"])
def test_train_takes_the_file_of_another_trainer_and_its_weights(capsys, network, masks, name):
    state = initial_state(network)
    state["conv1.weight"] *= 2
    export(name, "best.pt", masks, state)
    if name == "rigl-torch":
        os.rename("best.init.pt", "w.pt")
    export("fullspectrum", "best.safetensors", masks, state)
    given = ("--weights", "w.pt") if name == "rigl-torch" else ()
    _, said = ran(capsys, "train", "best.pt", *ON_DIGITS, *given, "-o", "theirs.safetensors")
    assert f"best.pt: format {name}" in said
    ours = ("--weights", "best.init.safetensors", "-o", "ours.safetensors")
    ran(capsys, "train", "best.safetensors", *ON_DIGITS, *ours)
    one, other = load_state("theirs.safetensors"), load_state("ours.safetensors")
    assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


def test_weights_of_another_network_are_listed_in_one_line(capsys, network, masks):
    state = initial_state(network)
    export("torch-prune", "best.pt", masks, {key: each for key, each in state.items() if key != "fc2.bias"})
    assert main(["train", "best.pt", *ON_DIGITS]) == 2
    assert "the weights are not those of the network: missing fc2.bias" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["score", "train", "check"])
def test_what_holds_no_masks_is_refused_in_one_line(capsys, command):
    torch.save({"a": 3}, "numbers.pt")
    on = () if command == "score" else ON_DIGITS
    assert "holds no masks in any of the formats that are read" in refused(capsys, command, "numbers.pt", *on)
    torch.save({"layer.weight": torch.ones(2, 2) * 3}, "dense.pt")
    if command != "score":
        assert "dense.pt keeps every weight" in refused(capsys, command, "dense.pt", *on)
