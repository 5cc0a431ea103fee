"""`fullspectrum layers`: what it lists, as a table and as JSON, and one line for every mistake."""

import io
import json
import sys

import numpy as np
import pytest
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import Task, build
from fullspectrum.search.cli import main
from fullspectrum.spectral.biadjacency import bipartite_graph

USER = """
import torch
from torch import nn

class Projection(nn.Linear):
    pass

class Tokens(nn.Module):
    def __init__(self, channels, size, classes):
        super().__init__()
        self.patches = nn.Conv2d(channels, 8, 2, stride=2)
        self.depthwise = nn.Conv2d(8, 16, 3, padding=1, groups=8)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2, groups=2)
        self.positions = nn.Embedding(64, 8)
        self.mixing = nn.Conv1d(8, 8, 3, padding=1)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.rows = nn.GRU(8, 8, batch_first=True)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.head = Projection(8, classes)

def flat(channels, size, classes):
    return nn.Flatten()

def lazy(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

def broken(channels, size, classes):
    raise KeyError("lost")
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A module with networks of a user in the working directory; its name."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "user_layers.py").write_text(USER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        yield "user_layers"


@pytest.fixture
def listed(capsys):
    """Runs the command; returns what it printed, and nothing may be on stderr."""

    def run(*arguments: str) -> str:
        assert main(["layers", *arguments]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


@pytest.fixture
def document(listed):
    """Runs the command with `--json`; returns the one document that stdout must be."""
    return lambda *arguments: json.loads(listed(*arguments, "--json"))


@pytest.fixture
def complaint(capsys):
    """Runs a command that must be refused; returns its one line."""

    def run(*arguments: str) -> str:
        assert main(["layers", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and len(captured.err.splitlines()) == 1
        return captured.err

    return run


def test_the_document_holds_every_prunable_parameter_and_their_shares_add_up(document):
    found = document("--model", "resnet20")
    weights = prunable(build("resnet20", Task(3, 32, 10), 0))
    assert {name: tuple(layer["shape"]) for name, layer in found["layers"].items()} == {
        name: tuple(weight.shape) for name, weight in weights.items()
    }
    assert list(found["layers"]) == list(weights)
    assert found["task"] == {"channels": 3, "size": 32, "classes": 10}
    assert (found["weights"], found["parameters"]) == (270_896, 272_474)
    assert sum(layer["weights"] for layer in found["layers"].values()) == found["weights"]
    assert sum(layer["share"] for layer in found["layers"].values()) == pytest.approx(1)
    assert found["never_pruned"] == {} and found["adaptations"] == []


def test_the_sides_are_those_of_the_graph_that_is_scored(user, document):
    found = document("--model", f"{user}:Tokens", "--data", "digits")["layers"]
    assert {name: layer["kind"] for name, layer in found.items()} == {
        "patches.weight": "Conv2d",
        "depthwise.weight": "Conv2d",
        "up.weight": "ConvTranspose2d",
        "positions.weight": "Embedding",
        "mixing.weight": "Conv1d",
        "attention.in_proj_weight": "MultiheadAttention",
        "attention.out_proj.weight": "Linear",
        "head.weight": "Linear",
    }
    for name, layer in found.items():
        mask, inputs_first = np.ones(layer["shape"], dtype=bool), name in ("up.weight", "positions.weight")
        graph = bipartite_graph(mask, None, layer["groups"], inputs_first)
        assert (graph.full_left, graph.full_right) == (layer["left"], layer["right"]), name
    assert (found["depthwise.weight"]["groups"], found["up.weight"]["groups"]) == (8, 2)


def test_what_is_never_pruned_is_listed_with_the_reason(user, listed, document):
    arguments = ["--model", f"{user}:Tokens", "--data", "digits"]
    reasons = document(*arguments)["never_pruned"]
    assert reasons["rows.weight_ih_l0"] == "recurrent weights of GRU"
    assert reasons["token"] == "parameter of Tokens outside any layer"
    printed = listed(*arguments)
    assert all(f"  {name}: {reason}" in printed for name, reason in reasons.items())


@pytest.mark.parametrize("model", ["resnet20", "wrn-28-10", "vgg19-bn", "torchvision:resnet50"])
def test_the_table_fits_a_narrow_terminal_with_a_line_for_each_parameter(model, listed, document, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = listed("--model", model).splitlines()
    found = document("--model", model)
    rows = [line for line in lines if " × " in line and not line.strip().startswith("parameter")]
    assert len(rows) == len(found["layers"])
    assert max(map(len, lines[1 : lines.index(next(line for line in lines if "can be pruned" in line))])) <= 80
    for row, (name, layer) in zip(rows, found["layers"].items(), strict=True):
        assert row.split()[0] == name.removesuffix(".weight")
        assert f"{layer['left']:,} × {layer['right']:,}" in row and f"{layer['weights']:,}" in row
    assert f"{found['weights']:,} of {found['parameters']:,} parameters can be pruned" in "\n".join(lines)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("columns", ["0", "40", "80"])
def test_the_table_is_printed_on_every_screen_and_in_every_encoding(listed, monkeypatch, encoding, columns):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setenv("COLUMNS", columns)
    listed("--model", "resnet20")
    stdout.flush()
    found = stdout.buffer.getvalue().decode(encoding)
    # Every number is whole; of the sign between the sides latin-1 has one, ASCII none.
    assert "36,864" in found and f"576 {'×' if encoding == 'latin-1' else '?'} 64" in found


def test_how_a_network_was_fitted_to_the_data_is_said(listed, document):
    arguments = ["--model", "torchvision:shufflenet_v2_x0_5", "--data", "digits"]
    changes = document(*arguments)["adaptations"]
    assert changes == [
        "stem: 3 x 3 convolution of stride 2 made 3 x 3 of stride 1, max pooling dropped",
        "input channels: 1 in place of 3",
    ]
    printed = listed(*arguments)
    assert "torchvision:shufflenet_v2_x0_5 for images of 1 x 8 x 8 in 10 classes" in printed
    assert "Changed against the published network:" in printed and all(change in printed for change in changes)
    assert "Changed" not in listed("--model", "torchvision:shufflenet_v2_x0_5")


def test_the_largest_networks_are_listed_without_memory_for_their_weights(document):
    # As torchvision counts them.
    assert document("--model", "torchvision:vit_h_14")["parameters"] == 632_045_800
    assert document("--model", "torchvision:regnet_y_128gf")["parameters"] == 644_812_894


class TestMistakes:
    """Each gets one line on stderr, exit status 2, and no traceback."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--model", "resnet-20"], 'did you mean "resnet20"?'),
            (["--model", "wrn-28-0"], "a whole number from 1 to 999"),
            (["--model", "torchvision:resnet19"], "unknown torchvision model"),
            (["--model", "somebodys:network"], "give its data set with --data"),
            (["--model", "resnet20", "--data", "digit"], 'did you mean "digits"?'),
            (["--model", "vgg16-bn", "--data", "digits"], "needs images of at least 16 x 16 pixels"),
            (["--model", "no_such_module:network", "--data", "digits"], 'cannot import "no_such_module"'),
        ],
    )
    def test_names_and_sizes(self, complaint, arguments, expected):
        assert expected in complaint(*arguments)

    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            ("flat", "has no layer whose weights could be pruned"),
            ("lazy", "has no shape yet"),
            ("broken", "KeyError: 'lost'"),
        ],
    )
    def test_a_users_network(self, user, complaint, function, expected):
        assert expected in complaint("--model", f"{user}:{function}", "--data", "digits")

    def test_debug_shows_where_a_users_network_fails(self, user):
        with pytest.raises(ValueError, match="broken") as caught:
            main(["layers", "--model", f"{user}:broken", "--data", "digits", "--debug"])
        assert isinstance(caught.value.__cause__, KeyError)


def test_the_help_has_an_example(capsys):
    assert main(["layers", "--help"]) == 0
    assert "fullspectrum layers --model resnet20" in capsys.readouterr().out
