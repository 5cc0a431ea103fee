"""What a study cannot do with its network and its data is found before its first trial."""

import sys

import pytest
from fullspectrum.models.data import load
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.worker.preparation import prepare
from fullspectrum.search.worker.rulecheck import check_mask_rules

THINGS = """
import numpy as np
import torch
from torch import nn

def vectors(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))

class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x.relu()
    @staticmethod
    def backward(ctx, gradient):
        # GraSP differentiates twice.
        if torch.is_grad_enabled(): raise RuntimeError("no second derivative")
        return gradient

class Custom(nn.Module):
    def forward(self, x): return Once.apply(x)

def once_differentiable(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Custom(), nn.Linear(8, classes))

def split(labels):
    return np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8)).astype(np.uint8), labels

def from_one():
    return {name: split(np.arange(40) % 2 + 1) for name in ("train", "val", "test")}

def rare():
    return {name: split(np.arange(40) // 36) for name in ("train", "val", "test")}
"""


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Prepare a study of things of a user's own, and return the line with which it is refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "things", raising=False)
    (tmp_path / "things.py").write_text(THINGS)

    def prepared(**settings) -> str:
        study = {"model": "things:vectors", "data": "digits", "sparsity": 0.5} | settings
        with pytest.raises(InputError) as caught:
            prepare(parse(study))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    yield prepared
    sys.modules.pop("things", None)


@pytest.mark.parametrize("batch_size", [1, {"choices": [64, 1]}])
def test_a_batch_that_cannot_be_trained_with(refused, batch_size):
    assert "training.batch_size = 1 is too small for it" in refused(training={"batch_size": batch_size})


def test_a_source_that_cannot_score_the_network(refused):
    line = refused(model="things:once_differentiable", search={"sources": ["snip", "grasp"]})
    assert line == "source grasp cannot score things:once_differentiable: RuntimeError: no second derivative"


CHANGING = {"mask": "gradual", "mask_every": 100, "mask_until": 0.75}


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        # 1,079 images make 16 batches of 64 an epoch.
        ({"warmup": {"iterations": 60}, "training": CHANGING}, "warmup.iterations = 60: the mask rule Gradual "),
        (
            {"final": {"epochs": 8}, "training": CHANGING | {"batch_size": 64}},
            "final.epochs = 8: the mask rule Gradual ",
        ),
        ({"training": CHANGING | {"mask": {"choices": ["fixed", "lr-rewinding"]}, "mask_every": 400}}, "warmup"),
        ({"training": CHANGING | {"mask_every": {"choices": [50, 400]}}}, "warmup.iterations = 500: "),
        ({"training": CHANGING | {"mask_until": {"low": 0.1, "high": 0.9}}}, "warmup.iterations = 500: "),
        ({"final": {"epochs": 9}, "training": CHANGING | {"batch_size": {"choices": [16, 128]}}}, "final.epochs = 9: "),
    ],
)
def test_a_rule_that_has_no_time_to_reach_its_masks(refused, settings, start):
    line = refused(**settings)
    assert line.startswith(start)
    for part in (
        "starts with all weights kept",
        "mask_every = ",
        "mask_until = ",
        " iterations",
        "at most",
        "for longer",
    ):
        assert part in line


@pytest.mark.parametrize(
    "settings",
    [
        {"warmup": {"iterations": 0}, "training": CHANGING, "final": {"epochs": 1}},
        {"warmup": {"iterations": 200}, "training": CHANGING, "final": {"epochs": 1, "top_k": 0}},
        {"warmup": {"iterations": 10}, "training": CHANGING | {"mask": "rigl"}, "final": {"epochs": 1}},
    ],
)
def test_a_rule_needs_time_only_in_trainings_that_there_are_and_where_it_starts_dense(settings):
    check_mask_rules(parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.5} | settings), load("digits"))


def test_labels_from_1(refused):
    assert "number the classes from 0" in refused(data="things:from_one")


def test_a_class_that_is_too_rare_for_a_batch_of_each_class(refused):
    line = refused(data="things:rare", search={"sources": ["snip"]})
    assert line.endswith("class 1 has 4 in the training split; ask for fewer: search.images_per_class = 4 at most")
    assert line.startswith("source snip: things:rare: ")
