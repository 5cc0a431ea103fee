"""A search of a network whose layers compute weights, share them, are frozen, or have names that look like paths."""

import copy

import pytest
import torch
from fullspectrum.models.layers import prunable, unsupported
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build, initial_state
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.task import Task
from fullspectrum.models.trainable import check_trainable
from fullspectrum.models.training import MaskedTraining
from fullspectrum.search.cli import main
from fullspectrum.search.config.study import Study
from fullspectrum.search.names import Param
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker.workbench import Workbench
from mlflow.utils.validation import _validate_param_name
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

NAME = f"{__name__}:network"

#: What torch allows in the name of a layer, and no path, no markup, no formula and no parameter of MLflow could have.
ODD = "[/]//$^$ \\(1)+ü"


class Quantised(nn.Conv2d):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rounded = self.weight + ((self.weight * 8).round() / 8 - self.weight).detach()
        return self._conv_forward(images, rounded, self.bias)


class Unusual(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, padding=1)
        self.add_module(ODD, nn.Conv2d(4, 4, 3, padding=1))
        self.normed = parametrizations.weight_norm(nn.Conv2d(4, 4, 1))
        self.spectral = parametrizations.spectral_norm(nn.Conv2d(4, 4, 1))
        self.orthogonal = parametrizations.orthogonal(nn.Linear(4, 4))
        self.quantised = Quantised(4, 4, 1)
        self.fixed = nn.Conv2d(4, 4, 1).requires_grad_(False)
        self.one, self.other = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.other.weight = self.one.weight
        self.again = self.one
        self.by_hook, self.by_spectral_hook = (
            norm(nn.Conv2d(4, 4, 1)) for norm in (nn.utils.weight_norm, nn.utils.spectral_norm)
        )
        self.head = nn.Linear(4, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.get_submodule(ODD)(functional.relu(self.stem(images))))
        for layer in (self.normed, self.spectral, self.quantised, self.fixed, self.by_hook, self.by_spectral_hook):
            x = x + functional.relu(layer(x))
        for layer in (self.one, self.other, self.again):
            x = functional.relu(layer(x)) + x
        return self.head(functional.relu(self.orthogonal(x.mean((2, 3)))) + x.mean((2, 3)))


def network(channels: int, size: int, classes: int) -> nn.Module:
    return Unusual(channels, classes)


pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def test_what_can_be_pruned_is_listed_once_and_the_rest_is_named():
    model = build(NAME, Task(1, 8, 10), 0)
    assert list(prunable(model)) == ["stem.weight", f"{ODD}.weight", "one.weight", "head.weight"]
    assert {name.partition(".")[0] for name in unsupported(model)} == {
        *("normed", "spectral", "orthogonal", "quantised", "fixed", "by_hook", "by_spectral_hook")
    }


@pytest.mark.parametrize("source", ["random", "biregular", "magnitude", "snip", "iterative-snip", "grasp", "synflow"])
def test_every_source_draws_a_mask_that_is_guarded_scored_trained_and_resumed(source, digits):
    model = build(NAME, digits.task, 0)
    before = initial_state(model)
    check_trainable(model, digits, NAME)
    study = Study(model=NAME, data="digits", sparsity=0.3, search={"sources": [source], "rounds": 3})
    bench = Workbench(study, model, digits)
    distribution = MaskDistribution(source, bench.source(source).default_temperature, 0, {})
    counts = bench.counts(distribution)
    # The weight that three layers share counts once.
    assert sum(counts.values()) == round(0.7 * (36 + 144 + 16 + 40))
    masks, _ = bench.rebuild(distribution, counts, 0)
    assert bench.evaluate([(masks, 0)], distribution)[0].digest == masks.digest()

    recipe = Recipe(batch_size=32, ema=0.9, mask="rigl", mask_every=2)
    training = MaskedTraining(copy.deepcopy(model), masks, digits, recipe, 4, 0)
    training.run(2)
    resumed = MaskedTraining(build(NAME, digits.task, 0), masks, digits, recipe, 4, 0)
    resumed.load_state_dict(training.state_dict())
    assert training.run(2) == resumed.run(2)
    end = training.model.state_dict()
    for name, mask in training.masks.items():
        assert not end[name][torch.tensor(~mask)].any()
    # Neither the guard nor a source has changed the network that they copied, nor the classes of its layers.
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(layer.weight.shape == (4, 4, 1, 1) for layer in (model.normed, model.spectral))
    assert torch.equal(end["fixed.weight"], model.fixed.weight)


def test_names_are_printed_drawn_and_recorded_as_they_are(tmp_path, monkeypatch, capsys):
    _validate_param_name(Param.theta(ODD))
    assert Param.theta("layer1.0.conv_1") == "theta.layer1.0.conv_1"
    assert main(["layers", "--model", NAME, "--data", "digits"]) == 0
    model = build(NAME, Task(1, 8, 10), 0)
    masks = MaskSet({name: torch.arange(w.numel()).view(w.shape) % 2 for name, w in prunable(model).items()})
    masks.save(tmp_path / "mask.safetensors")
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["score", str(tmp_path / "mask.safetensors"), "--chance", "2", "--plot", str(tmp_path / "p.png")]) == 0
    assert capsys.readouterr().out.count(ODD) == 2
