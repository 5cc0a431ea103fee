import numpy as np
import pytest
import torch
from fullspectrum.models.cost.flops import count_flops
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import build
from fullspectrum.models.task import Task
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .networks import NETWORKS, images


def masks_of(model, density=0.3, seed=0):
    generator = np.random.default_rng(seed)
    return {name: generator.random(tuple(weight.shape)) < density for name, weight in prunable(model).items()}


def whole(model):
    return masks_of(model, density=2)


def total(flops, masks):
    return flops.others + sum(flops.of(name, mask) for name, mask in masks.items())


def counted_by_torch(model, inputs) -> int:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), FlopCounterMode(display=False) as mode:
        model.eval()(inputs)
    torch.backends.mha.set_fastpath_enabled(fast)
    return mode.get_total_flops()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_dense_network_takes_what_torch_counts(name):
    model, inputs = NETWORKS[name]()
    assert total(count_flops(model, inputs), whole(model)) == counted_by_torch(model, inputs) > 0


@pytest.mark.parametrize("name", ["resnet20", "vgg16-bn", "torchvision:mobilenet_v2"])
def test_a_published_network_takes_what_torch_counts_and_all_of_it_with_weights(name):
    model = build(name, Task(3, 32, 10), 0)
    flops = count_flops(model, images(3, 32))
    assert total(flops, whole(model)) == counted_by_torch(model, images(3, 32))
    assert flops.others == 0


def test_a_layers_operations_are_its_kept_weights_times_the_places_where_they_lie():
    model, inputs = NETWORKS["convolutions"]()
    masks, flops = masks_of(model), count_flops(model, inputs)
    # 7 x 7 places; of the transposed one each place of its input, 7 x 7; then of 14 x 14 with 3 x 3 (dilated 1 x 2).
    places = {"0.weight": 49, "1.weight": 49, "3.weight": 6 * 12, "5.weight": 1}
    assert masks.keys() == places.keys()
    assert {name: flops.of(name, mask) for name, mask in masks.items()} == {
        name: 2 * int(mask.sum()) * places[name] for name, mask in masks.items()
    }


def test_parts_of_a_weight_count_their_own_kept_weights():
    model, inputs = NETWORKS["functional"]()
    masks, flops = masks_of(model), count_flops(model, inputs)
    first, second = masks["first.weight"], masks["second.weight"]
    packed, output = masks["attention.in_proj_weight"], masks["attention.out_proj.weight"]
    assert flops.of("first.weight", first) == 2 * (5 * first.sum() + 3 * first[:4].sum())
    assert flops.of("second.weight", second) == 2 * (5 * second.sum() + 3 * second[:4, :4].sum())
    assert flops.of("attention.in_proj_weight", packed) == 2 * (3 * packed[:8].sum() + 2 * packed[8:].sum())
    assert flops.of("attention.out_proj.weight", output) == 2 * 3 * output.sum()


def test_a_shared_weight_counts_where_it_multiplies_and_not_where_it_is_looked_up():
    model, inputs = NETWORKS["tied"]()
    masks, flops = masks_of(model), count_flops(model, inputs)
    table = masks["embedding.weight"]
    assert flops.of("embedding.weight", table) == 2 * 5 * int(table.sum())
    # Two heads of four features, five tokens: queries with keys, and weights with values.
    assert flops.others == 2 * (2 * 5 * 5 * 4) * 2


def test_a_weight_that_is_expanded_over_a_batch_counts_for_each():
    class Expanded(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return torch.bmm(x, self.layer.weight.t().expand(len(x), 3, 2))

    model, mask = Expanded(), np.array([[1, 0, 1], [0, 0, 1]], dtype=bool)
    flops = count_flops(model, torch.rand(4, 5, 3))
    assert flops.of("layer.weight", mask) == 2 * 4 * 5 * 3


def test_what_a_network_computes_from_a_weight_counts_among_the_others():
    class Computed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return x @ (2 * self.layer.weight).t()

    flops = count_flops(Computed(), torch.rand(4, 3))
    assert (flops.of("layer.weight", np.ones((2, 3), bool)), flops.others) == (0, 2 * 4 * 6)


def test_the_network_is_left_as_it_was():
    model, inputs = NETWORKS["tied"]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    fast = torch.backends.mha.get_fastpath_enabled()
    count_flops(model, inputs)
    assert model.training and torch.backends.mha.get_fastpath_enabled() == fast
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
