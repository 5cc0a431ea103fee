import copy

import numpy as np
import pytest
import torch
from fullspectrum.models.cost.latency import _replaced, _unfused, measure_latency
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from torch import nn

from .networks import NETWORKS, images

LAYERS = {
    "linear on sequences": (nn.Linear(6, 4), (2, 5, 6)),
    "linear without a batch": (nn.Linear(6, 4, bias=False), (6,)),
    "1-d": (nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2), (2, 4, 9)),
    "2-d": (nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), (3, 4, 7, 6)),
    "grouped": (nn.Conv2d(6, 6, 3, padding="same", groups=6), (1, 6, 5, 5)),
    "reflected": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (1, 2, 5, 5)),
    "without a batch": (nn.Conv2d(2, 3, 3), (2, 5, 5)),
    "in double precision": (nn.Conv2d(2, 3, 3, dtype=torch.float64), (1, 2, 5, 5)),
}


def masks_of(model, density=0.3) -> MaskSet:
    generator = np.random.default_rng(0)
    return MaskSet({name: generator.random(tuple(w.shape)) < density for name, w in prunable(model).items()})


@pytest.mark.parametrize("name", LAYERS)
def test_a_sparse_kernel_computes_what_the_layer_does(name):
    layer, shape = LAYERS[name]
    inputs = torch.rand(shape, dtype=layer.weight.dtype, generator=torch.Generator().manual_seed(0))
    masks = masks_of(layer)
    dense = copy.deepcopy(layer)
    with torch.no_grad(), _unfused():
        dense.weight *= torch.tensor(masks["weight"])
        sparse = copy.deepcopy(dense)
        assert [path for path, _ in _replaced(sparse, masks)] == [""]
        found, expected = sparse(inputs), dense(inputs)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_that_is_called_and_has_a_kernel_is_measured(name):
    model, inputs = NETWORKS[name]()
    masks = masks_of(model)
    found = measure_latency(model, masks, inputs, repeats=2)
    assert (found.masked, found.repeats, found.threads) == (len(masks), 2, torch.get_num_threads())
    assert found.dense > 0 and found.csr > 0 and all(min(pair) > 0 for pair in found.layers.values())
    # Attention reads its projections, the functional network one of its layers, without a call of them.
    expected = {
        "convolutions": {"0.weight", "3.weight", "5.weight"},
        "functional": {"first.weight"},
        "tied": {"layer.linear1.weight", "layer.linear2.weight", "head.weight"},
        "several inputs": {"0.weight", "2.weight"},
    }
    assert found.layers.keys() == expected[name]


def test_the_model_is_left_as_it_was():
    model, inputs = NETWORKS["convolutions"]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    measure_latency(model, masks_of(model), inputs, repeats=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model[0].forward.__self__ is model[0]


def test_masks_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="unexpected nosuch"):
        measure_latency(nn.Conv2d(1, 1, 3), MaskSet({"nosuch": [1]}), images(1, 3))
