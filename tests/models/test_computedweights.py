"""Weights from which a forward pass computes others stay dense; weights that are used as they are do not."""

import copy

import pytest
import torch
from fullspectrum.models.computedweights import leave_computed_dense
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import COMPUTED, prunable, unsupported
from fullspectrum.models.task import Task
from torch import nn
from torch.nn import functional

from ..everylayer import EveryLayer

TASK = Task(1, 8, 2)


class Computing(nn.Conv2d):
    """A convolution with what `compute` makes of its weight and of its mode."""

    def __init__(self, compute) -> None:
        super().__init__(4, 4, 3)
        self.compute = compute

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(images, self.compute(self.weight, self.training), self.bias)


class Head(nn.Module):
    """A classifier that passes features and the weight of its linear layer to `compute`."""

    def __init__(self, compute) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 2, bias=False)
        self.compute = compute

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.compute(features, self.fc.weight)


def network(middle: nn.Module, head: nn.Module) -> nn.Sequential:
    stem, pool = nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(stem, nn.BatchNorm2d(4), nn.ReLU(), middle, nn.ReLU(), pool, nn.Flatten(), head)


def dense_in(model: nn.Module, task: Task = TASK) -> list[str]:
    leave_computed_dense(model, task)
    assert set(unsupported(model).values()) <= {COMPUTED} and not prunable(model).keys() & unsupported(model).keys()
    return list(unsupported(model))


def standardised(weight: torch.Tensor) -> torch.Tensor:
    return (weight - weight.mean()) / weight.std()


COMPUTATIONS = {
    "standardised": lambda w, _: (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True),
    "standardised by batch_norm": lambda w, _: functional.batch_norm(
        w.reshape(1, 4, -1), None, None, training=True
    ).reshape_as(w),
    "standardised in TorchScript": lambda w, _: torch.jit.script(standardised)(w),
    "quantised, straight through": lambda w, _: w + ((w * 8).round() / 8 - w).detach(),
    "binary in training alone": lambda w, training: w.sign() if training else w,
    "changed in place in a copy": lambda w, _: w.clone().mul_(2),
    "masked by hand": lambda w, _: w * torch.ones(4, 4, 3, 3).tril(),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("compute", COMPUTATIONS.values(), ids=COMPUTATIONS)
def test_a_weight_that_its_layer_computes_another_from_is_left_dense(compute):
    assert dense_in(network(Computing(compute), nn.Linear(4, 2))) == ["3.weight"]


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, w: functional.linear(functional.normalize(x), functional.normalize(w)),
        lambda x, w: -torch.cdist(x, w),
        lambda x, w: -(x[:, None] - w).square().sum(-1),
    ],
    ids=["cosine", "distance", "distance by hand"],
)
def test_a_weight_that_the_network_itself_computes_with_is_left_dense(compute):
    assert dense_in(network(nn.Conv2d(4, 4, 3), Head(compute))) == ["7.fc.weight"]


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, w: x @ w.t(),
        lambda x, w: torch.einsum("bi,oi->bo", x, w),
        lambda x, w: functional.linear(x.double(), w.double()).float(),
        lambda x, w: torch.cat([functional.linear(x, row[None]) for row in w.unbind()], 1),
        lambda x, w: functional.conv2d(x[..., None, None], w[..., None, None]).flatten(1),
        lambda x, w: functional.linear(x.to(w), torch.cat([w, torch.zeros_like(w)]))[:, :2],
    ],
    ids=["product", "einsum", "in double", "in rows", "as a convolution", "beside zeros"],
)
def test_a_weight_that_is_moved_and_used_as_it_is_can_be_pruned(compute):
    assert not dense_in(network(nn.Conv2d(4, 4, 3), Head(compute)))


PENALTIES = {
    "as distributed training needs it": lambda model: 0.0 * sum(each.sum() for each in model.parameters()),
    "decay": lambda model: model[3].weight.pow(2).sum() + model[7].weight.norm(dim=1).sum(),
    "orthogonality": lambda model: (model[7].weight @ model[7].weight.t() - torch.eye(2)).square().sum(),
    "angles": lambda model: (functional.normalize(model[7].weight) @ functional.normalize(model[7].weight).t()).sum(),
    "in place": lambda model: torch.zeros(()).add_(model[3].weight.abs().sum()).mul_(0.1),
}


@pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES)
def test_a_single_number_that_is_added_to_the_logits_leaves_its_weights_to_be_pruned(penalty):
    class Penalised(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) + penalty(self)

    assert not dense_in(Penalised(*network(nn.Conv2d(4, 4, 3), nn.Linear(4, 2))))
    assert dense_in(Penalised(*network(Computing(COMPUTATIONS["standardised"]), nn.Linear(4, 2)))) == ["3.weight"]


class Token(nn.Module):
    """A linear layer of features beside, or with, what `use` makes of them and of the table of an embedding."""

    def __init__(self, use) -> None:
        super().__init__()
        self.token, self.norm, self.fc, self.use = nn.Embedding(1, 4), nn.LayerNorm(4), nn.Linear(4, 2), use

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.use(features[:, None], self.token.weight.expand(len(features), 1, 4))).mean(1))


@pytest.mark.parametrize(
    ("use", "dense"),
    [
        (lambda x, table: torch.cat([table, x], 1), False),
        (lambda x, table: x + functional.dropout(table), False),
        (lambda x, table: x + table * 2, False),
        (lambda x, table: x + (table - table.mean()) / table.std(), True),
        (lambda x, table: x + table * table.norm().reciprocal(), True),
    ],
    ids=["joined", "dropped out", "scaled", "standardised", "normalised"],
)
def test_a_table_that_becomes_a_part_of_the_features_can_be_pruned_and_what_is_computed_from_one_cannot(use, dense):
    assert dense_in(network(nn.Conv2d(4, 4, 3), Token(use))) == ["7.token.weight"] * dense


class Transformer(nn.Module):
    """Patches, a table of positions that is added, a layer of torch's encoder, and a bag of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.positions = nn.Embedding(4, 8, max_norm=3.0)
        self.bag = nn.EmbeddingBag(4, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions.weight[None]
        tokens += self.positions(torch.arange(4))
        return self.head(self.encoder(tokens).mean(1) + self.bag(torch.arange(4)[None]))


def test_layers_of_every_kind_can_be_pruned_by_their_own_forward_passes():
    assert not dense_in(Transformer())
    model = EveryLayer()
    before = list(prunable(model))
    leave_computed_dense(model, Task(1, 8, 10))
    assert list(prunable(model)) == before


def test_a_weight_that_one_of_its_layers_computes_another_from_is_left_dense_in_all():
    model = network(nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 2))
    model.insert(4, Computing(COMPUTATIONS["quantised, straight through"]))
    model[4].weight = model[3].weight
    assert dense_in(model) == ["3.weight"]


def test_copies_leave_dense_what_the_network_leaves_dense():
    model = network(Computing(COMPUTATIONS["standardised"]), nn.Linear(4, 2))
    leave_computed_dense(model, TASK)
    assert list(prunable(copy.deepcopy(model))) == list(prunable(model)) == ["0.weight", "7.weight"]


def test_the_network_is_left_as_it_was():
    model = network(nn.Conv2d(4, 4, 3), nn.Linear(4, 2)).train()
    before = copy.deepcopy(model.state_dict())
    leave_computed_dense(model, TASK)
    assert model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nothing_is_said_of_a_network_that_fails():
    assert not dense_in(network(Computing(COMPUTATIONS["standardised"]), nn.Linear(5, 2)))


def test_a_compiled_network_is_read_as_it_is_written():
    model = torch.compile(network(Computing(COMPUTATIONS["standardised"]), nn.Linear(4, 2)))
    assert dense_in(model) == ["_orig_mod.3.weight"]


def test_a_forward_pass_that_was_put_in_the_place_of_another_is_followed():
    model = network(nn.Conv2d(4, 4, 3), nn.Linear(4, 2))
    # Copies of the network call this function, which holds the weight of the network itself.
    model[7].forward = lambda x: functional.linear(x, model[7].weight.sign())
    assert dense_in(model) == ["7.weight"]


def test_a_network_that_computes_all_its_weights_is_refused_with_the_reason():
    model = nn.Sequential(nn.Flatten(), Head(lambda x, w: -torch.cdist(x, w.repeat(1, 16))))
    leave_computed_dense(model, TASK)
    with pytest.raises(InputError, match="leaves dense 1.fc.weight .its layer computes .* no other"):
        prunable(model)
