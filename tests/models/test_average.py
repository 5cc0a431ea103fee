"""The moving average of weights: closed forms, running statistics, and the model's own weights unharmed."""

import copy

import pytest
import torch
from fullspectrum.models.average import WeightAverage
from torch import nn


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def measured(model: nn.Module, average: WeightAverage) -> dict[str, torch.Tensor]:
    with average.in_place():
        return copy.deepcopy(model.state_dict())


def test_it_is_the_exponential_average_of_all_weights_so_far_with_a_decay_that_starts_low():
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 8.0)
    average, expected = WeightAverage(model, 0.3), 8.0
    for number, weight in enumerate([4.0, -2.0, 1.0, 6.0]):
        nn.init.constant_(model.weight, weight)
        average.update(number)
        # 1/10, 2/11 and 3/12 are less than 0.3; 4/13 is more.
        decay = [1 / 10, 2 / 11, 3 / 12, 0.3][number]
        expected = decay * expected + (1 - decay) * weight
        assert measured(model, average)["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_running_statistics_are_averaged_and_counters_are_the_models_own():
    model = network()
    average = WeightAverage(model, 0.9)
    model(torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))
    before, after = torch.zeros(3), model[1].running_mean.clone()
    average.update(0)
    state = measured(model, average)
    torch.testing.assert_close(state["1.running_mean"], 0.1 * before + 0.9 * after)
    assert state["1.num_batches_tracked"] == model[1].num_batches_tracked == 1


def test_a_weight_that_is_always_zero_is_exactly_zero_in_the_average():
    model = nn.Linear(50, 50)
    removed = torch.rand(50, 50, generator=torch.Generator().manual_seed(0)) < 0.5
    average = None
    for number in range(20):
        with torch.no_grad():
            model.weight.normal_(generator=torch.Generator().manual_seed(number))
            model.weight[removed] = 0
        average = average or WeightAverage(model, 0.999)
        average.update(number)
    weight = measured(model, average)["weight"]
    assert torch.equal(weight == 0, removed)


def test_the_model_has_its_own_weights_again_afterwards_whatever_happens():
    model = network()
    average = WeightAverage(model, 0.5)
    own = [parameter.data_ptr() for parameter in model.parameters()]
    nn.init.zeros_(model[0].weight)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(KeyError), average.in_place():
        assert model[0].weight.count_nonzero()
        raise KeyError
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [parameter.data_ptr() for parameter in model.parameters()] == own


def test_its_state_is_a_copy_that_another_one_can_take_up():
    model = network()
    average = WeightAverage(model, 0.5)
    state = average.state_dict()
    nn.init.zeros_(model[0].weight)
    average.update(0)
    other = WeightAverage(model, 0.5)
    other.load_state_dict(state)
    assert torch.equal(measured(model, other)["0.weight"], network()[0].weight)
