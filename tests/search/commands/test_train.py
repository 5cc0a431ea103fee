"""`fullspectrum train`: what it writes is what it has measured, and networks that cannot be trained are refused."""

import sys
from pathlib import Path

import pytest
import torch
from fullspectrum.models.data import load
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.training import MaskedTraining, Recipe
from fullspectrum.models.weights import load_state
from fullspectrum.search.cli import main

NETWORKS = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, classes, change):
        super().__init__()
        self.layer, self.change = nn.Linear(64, classes), change

    def forward(self, images):
        return self.change(self.layer(images.flatten(1)))

def sound(channels, size, classes):
    return Network(classes, lambda logits: logits)

def failing(channels, size, classes):
    return Network(classes, lambda logits: logits.no_such_thing)

def infinite(channels, size, classes):
    return Network(classes, lambda logits: logits / 0)

def pair(channels, size, classes):
    return Network(classes, lambda logits: (logits, logits))
"""


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs the command in a folder of its own, on a mask that keeps every other weight of the network."""
    monkeypatch.chdir(tmp_path)
    # The command makes its folder importable, for good.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "user_networks", raising=False)
    (tmp_path / "user_networks.py").write_text(NETWORKS)

    def run(model: str, *arguments: str, kept: dict[str, int] | None = None) -> int:
        sound = model if ":" not in model else "user_networks:sound"
        shapes = {name: weight.shape for name, weight in prunable(build(sound, load("digits").task, 0)).items()}
        masks = MaskSet({name: torch.arange(shape.numel()).view(shape) % 2 for name, shape in shapes.items()})
        for name, value in (kept or {}).items():
            masks = MaskSet(dict(masks) | {n: torch.full(shapes[n], value) for n in shapes if name in n})
        masks.save("mask.safetensors")
        return main(["train", "mask.safetensors", "--model", model, "--data", "digits", *arguments])

    return run


def test_the_weights_that_are_written_have_the_accuracy_that_was_told(train, capsys):
    settings = ["final.epochs=2", "training.ema=0.99", "training.batch_size=64", "training.learning_rate=0.02"]
    arguments = [f"--set={setting}" for setting in settings]
    assert train("digits_cnn", *arguments, "-o", "trained.safetensors") == 0
    data = load("digits")
    model, masks = build("digits_cnn", data.task, 0), MaskSet.load("mask.safetensors")
    model.load_state_dict(load_state(Path("trained.safetensors")))
    measured = MaskedTraining(model, masks, data, Recipe(), 0, 0)
    told = f"validation accuracy {measured.accuracy('val'):.4f}, test accuracy {measured.accuracy('test'):.4f}"
    assert capsys.readouterr().out.splitlines()[-1] == told


def test_a_mask_that_changed_is_written_with_its_weights_and_the_picture_of_its_coordinate(train, capsys):
    settings = ["final.epochs=2", "training.batch_size=64", "training.mask=lr-rewinding", "training.mask_every=8"]
    arguments = [f"--set={setting}" for setting in (*settings, "record.coordinate_every=12")]
    assert train("digits_cnn", *arguments, "-o", "trained.safetensors") == 0
    start, end = (MaskSet.load(Path(name)) for name in ("mask.safetensors", "trained.mask.safetensors"))
    state = load_state(Path("trained.safetensors"))
    assert end != start and end.layer_sparsity == start.layer_sparsity
    assert all(not state[name].numpy()[~mask].any() for name, mask in end.items())
    assert Path("trained.coordinate_over_time.png").read_bytes().startswith(b"\x89PNG")
    told = [line.split() for line in capsys.readouterr().out.splitlines() if " distance " in line]
    assert [int(words[0]) for words in told] == [0, 12, 24, 32]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("failing", "failed on a batch of 64 x 1 x 8 x 8 training images: AttributeError: 'Tensor' object has no"),
        ("infinite", "at its initial weights is nan; check"),
        ("pair", "must return logits, one for each class, (64, 10), but returned a tuple"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused_in_one_line(network, expected, train, capsys):
    assert train(f"user_networks:{network}") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert f"user_networks:{network}" in line and expected in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-o", "nowhere/trained.safetensors"], "there is no folder nowhere"),
        (["--set", "sparsity=0.1"], "--set sparsity=0.1: here sparsity is "),
        (["--set", "model=resnet20"], "--set model=resnet20: here model is 'digits_cnn'"),
        (["--set", "seed=3"], "--set seed=3: here seed is 0"),
        (["--set", "training.mask=gradual", "--set", "final.epochs=9"], "set mask_every to 53 at most, or train for"),
    ],
)
def test_a_mistake_is_told_before_anything_is_trained(arguments, expected, train, capsys):
    assert train("digits_cnn", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({"": 0}, "keeps no weight, of conv1.weight as of all others"),
        ({"fc1": 0}, "collapsed: nothing is kept of fc1.weight"),
        ({"": 1}, "keeps every weight, of conv1.weight as of all others"),
    ],
)
def test_a_mask_that_is_all_zero_or_all_one_is_refused_with_the_layer(kept, expected, train, capsys):
    """Fault 12."""
    assert train("digits_cnn", kept=kept) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and expected in captured.err and captured.err.count("\n") == 1


def test_a_gpu_that_is_not_there_is_told_in_one_line(train, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train("digits_cnn", "--set", "resources.gpus=1") == 2
    assert "resources.gpus = 1, but torch sees no GPU here; lower it" in capsys.readouterr().err


def test_with_debug_the_users_own_traceback_is_shown(train):
    with pytest.raises(ValueError) as caught:
        train("user_networks:failing", "--debug")
    assert isinstance(caught.value.__cause__, AttributeError)
    assert any(frame.path.name == "user_networks.py" for frame in _frames(caught.value.__cause__))


def _frames(error: BaseException):
    return pytest.ExceptionInfo.from_exception(error).traceback
