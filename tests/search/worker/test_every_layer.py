"""What a search does with layers of every kind, and what it says of those that it leaves alone."""

import json
import sys

import numpy as np
import pytest
import torch
from fullspectrum.models.data import load
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.layout import Layout
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from fullspectrum.search.commands.masks import layout_for
from fullspectrum.search.guards.unpruned import warn_unpruned
from fullspectrum.search.sampling.draw import sample
from fullspectrum.search.sampling.layers import budget
from fullspectrum.search.sampling.registry import ALLOCATIONS
from fullspectrum.search.sources import SOURCES, Setting, source_called
from torch import nn

from ...everylayer import EveryLayer
from ...shares import allocate


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_scores_every_kind_of_layer(name):
    model = EveryLayer()
    scores = source_called(name).scores(Setting(model, load("digits"), 1000, rounds=3, round_iterations=2), 0)
    assert {n: s.shape for n, s in scores.items()} == {n: tuple(w.shape) for n, w in prunable(model).items()}
    assert all(np.isfinite(s).all() and (s >= 0).all() and (s > 0).any() for s in scores.values())


@pytest.mark.parametrize("base", ALLOCATIONS)
def test_every_allocation_meets_the_budget_of_every_kind_of_layer(base):
    model, sparsity = EveryLayer(), 0.6
    scores = source_called("magnitude").scores(Setting(model, load("digits"), 1000), 0)
    shapes = {name: values.shape for name, values in scores.items()}
    counts = allocate(shapes, sparsity, base, scores=scores)
    masks = sample(scores, counts, 1.0, 0)
    assert sum(int(mask.sum()) for mask in masks.values()) == budget(shapes, sparsity)


def test_what_is_never_pruned_is_told_in_one_line(capsys):
    warn_unpruned(EveryLayer())
    assert capsys.readouterr().err == (
        "fullspectrum: warning: 1 parameter is never pruned: token (parameter of EveryLayer outside any layer)\n"
    )


def test_a_long_list_is_shortened(capsys):
    warn_unpruned(nn.LSTM(2, 2, num_layers=50))
    (line,) = capsys.readouterr().err.splitlines()
    assert "100 parameters are never pruned: weight_ih_l0 (recurrent weights of LSTM), " in line
    assert line.endswith(" and 97 more") and len(line) < 250


def test_nothing_is_said_where_everything_can_be_pruned(capsys):
    warn_unpruned(nn.Linear(2, 2))
    assert capsys.readouterr() == ("", "")


MOBILE = "torchvision:mobilenet_v2"


def mobile_masks(**metadata: str) -> tuple[MaskSet, Layout]:
    """Dense masks of two layers of a MobileNet, the first depthwise, and their layout."""
    model = build(MOBILE, Task(3, 64, 10), 0)
    names = ["features.1.conv.0.0.weight", "features.1.conv.1.weight"]
    task = {"input": json.dumps([3, 64, 64]), "classes": "10"}
    masks = {name: np.ones(prunable(model)[name].shape) for name in names}
    return MaskSet(masks, task | metadata), Layout({names[0]: 32})


def test_the_layout_of_a_mask_file_is_that_of_the_named_network_else_what_the_file_says():
    masks, expected = mobile_masks()
    assert layout_for(masks, MOBILE) == expected
    assert layout_for(masks, None) == Layout()
    assert layout_for(mobile_masks(**expected.to_metadata())[0], None) == expected


def test_a_file_whose_layout_cannot_be_is_refused_unless_the_network_is_named():
    masks, expected = mobile_masks(groups='{"features.1.conv.0.0.weight": 5}')
    with pytest.raises(InputError, match="divides its first axis of 32, but are '5'.*--model"):
        layout_for(masks, None)
    assert layout_for(masks, MOBILE) == expected
    with pytest.raises(InputError, match="do not fit the model"):
        layout_for(masks, "resnet20")


USER = """
from torch import nn
class Tokens(nn.Module):
    def __init__(self, channels, size, classes):
        super().__init__()
        self.patches = nn.Conv2d(channels, 8, 2, stride=2)
        self.rows = nn.GRU(8, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, classes)
    def forward(self, images):
        x, _ = self.rows(self.patches(images).flatten(2).transpose(1, 2))
        return self.head(self.attention(x, x, x)[0].mean(1))
"""


def test_sampling_and_training_a_users_network_warns_of_what_stays_dense(tmp_path, monkeypatch, capsys):
    from fullspectrum.models.weights import load_state
    from fullspectrum.search.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "user_tokens.py").write_text(USER)
    common = ["--model", "user_tokens:Tokens", "--data", "digits"]
    assert main(["sample", *common, "--source", "snip", "--sparsity", "0.7", "-o", "mask.safetensors"]) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "2 parameters are never pruned: rows.weight_ih_l0 (recurrent" in said
    settings = ["--set", "final.epochs=1", "--set", "training.batch_size=64"]
    assert main(["train", "mask.safetensors", *common, *settings, "-o", "trained.safetensors"]) == 0
    assert "2 parameters are never pruned" in capsys.readouterr().err
    masks, state = MaskSet.load("mask.safetensors"), load_state("trained.safetensors")
    assert "attention.in_proj_weight" in masks
    assert all(not torch.count_nonzero(state[name][torch.tensor(~mask)]) for name, mask in masks.items())
