import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import (
    DEFAULT_TASKS,
    NETWORKS,
    Task,
    build,
    default_task,
    initial_state,
)
from torch import nn

CIFAR = DEFAULT_TASKS["resnet20"]
DIGITS = DEFAULT_TASKS["digits_cnn"]


def prunable_count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in prunable(model).values())


@pytest.mark.parametrize("name", [*NETWORKS, "wrn-28-1", "torchvision:resnet18"])
def test_weights_are_a_function_of_the_seed_alone(name):
    states = []
    for noise in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(noise)
            states.append(initial_state(build(name, CIFAR, 3)))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    other = initial_state(build(name, CIFAR, 4))
    first = next(iter(states[0]))
    assert not torch.equal(states[0][first], other[first])


@pytest.mark.parametrize("name", [*NETWORKS, "wrn-28-1", "torchvision:squeezenet1_1"])
def test_building_leaves_the_global_generator_untouched(name):
    before = torch.get_rng_state()
    build(name, CIFAR, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_do_not_share_a_stream_with_a_generator_of_the_same_seed():
    # Otherwise a mask drawn with the study's seed keeps the largest weights only, and the network is dead.
    weights = build("digits_cnn", DIGITS, 0).fc1.weight.flatten()
    generator = torch.Generator().manual_seed(0)
    skipped = 288 + 18_432 + 73_728  # The draws of the convolutions before it.
    torch.rand(skipped, generator=generator)
    draws = torch.rand(weights.numel(), generator=generator)
    correlation = torch.corrcoef(torch.stack([weights.detach(), draws]))[0, 1].item()
    # Independent draws correlate with standard deviation 1 / sqrt(n): 6 of them allowed.
    assert abs(correlation) < 6 / weights.numel() ** 0.5


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet-20", 'did you mean "resnet20"'),
        ("vgg16bn", 'did you mean "vgg16-bn"'),
        ("resnet18", 'did you mean "torchvision:resnet18"'),
        ("wrn28-10", 'did you mean "wrn-28-K"'),
        ("wrn-28-0", "after wrn-28- stands the widening factor, a whole number from 1 to 999, as in wrn-28-10"),
        ("wrn-28-x", "after wrn-28- stands the widening factor"),
        ("wrn-28-", "after wrn-28- stands the widening factor"),
        ("torchvision:resnet19", 'did you mean "resnet1'),
        ("torchvision:", "unknown torchvision model"),
        (":f", "unknown model"),
        ("", "module:function"),
    ],
)
def test_unknown_networks_are_refused_with_the_way_out(name, hint):
    with pytest.raises(InputError, match=hint):
        build(name, CIFAR, 0)


def test_a_name_can_be_checked_before_there_is_a_task():
    for name in (*NETWORKS, "wrn-28-10", "torchvision:resnet18", "module:function"):
        NETWORKS.check(name)
    for name in ("resnet21", "wrn-28-0", "torchvision:resnet19"):
        with pytest.raises(InputError, match="unknown"):
            NETWORKS.check(name)


def test_the_usual_task_is_that_of_the_literature():
    assert {default_task(name) for name in ("resnet20", "vgg19-bn", "conv-6", "wrn-28-4")} == {Task(3, 32, 10)}
    assert default_task("lenet-300-100") == Task(1, 28, 10)
    assert default_task("torchvision:vit_b_16") == Task(3, 224, 1000)
    assert default_task("module:function") is None and default_task("resnet21") is None


@pytest.mark.parametrize("task", [(0, 8, 10), (1, 0, 10), (1, 8, 1), (1.0, 8, 10), (True, 8, 10)])
def test_impossible_tasks_are_refused(task):
    with pytest.raises(InputError):
        Task(*task)


USER = """
import torch
def network(channels, size, classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * size * size, classes))
def number(**task):
    return 3
def broken(**task):
    raise KeyError("lost")
constant = 3
"""


def test_a_users_network_is_built_from_the_seed_in_the_working_directory(user_module):
    name = f"{user_module(USER)}:network"
    before = torch.get_rng_state()
    first, second = build(name, DIGITS, 1), build(name, DIGITS, 1)
    assert prunable_count(first) == 640 and torch.equal(first[1].weight, second[1].weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("netwrk", 'did you mean "network"'),
        ("constant", "no function but a int"),
        ("number", "must return a torch.nn.Module, but returned a int"),
        ("broken", "KeyError: 'lost'"),
    ],
)
def test_what_is_wrong_with_a_users_function_is_told(user_module, function, message):
    name = f"{user_module(USER)}:{function}"
    with pytest.raises(InputError, match=message) as caught:
        build(name, DIGITS, 0)
    assert name.split(":")[0] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["import no_such_module_anywhere", "def network(:", "raise RuntimeError('early')"])
def test_modules_that_fail_to_import_are_named(user_module, source):
    name = user_module(source)
    with pytest.raises(InputError, match=f'cannot import "{name}"'):
        build(f"{name}:network", DIGITS, 0)


def test_missing_modules_are_named():
    with pytest.raises(InputError, match='cannot import "no_such_module"'):
        build("no_such_module:network", DIGITS, 0)


def test_initial_state_does_not_follow_the_training():
    model = nn.Linear(2, 2)
    state = initial_state(model)
    before = state["weight"].clone()
    with torch.no_grad():
        model.weight.add_(1)
    assert torch.equal(state["weight"], before)
