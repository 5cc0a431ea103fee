import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import DEFAULT_TASKS, NETWORKS, Task, build, initial_state
from torch import nn

CIFAR = DEFAULT_TASKS["resnet20"]
DIGITS = DEFAULT_TASKS["digits_cnn"]


def prunable_count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in prunable(model).values())


# By hand: 9*32 + 9*32*64 + 9*64*128 + 2048*200 + 200*10 for the first. For the second, 9*3*16 + 6*9*16*16, then
# 9*16*32 + 5*9*32*32 + 16*32, then 9*32*64 + 5*9*64*64 + 32*64, and 64*10.
@pytest.mark.parametrize(("name", "count", "layers"), [("digits_cnn", 504_048, 5), ("resnet20", 270_896, 22)])
def test_prunable_weights_are_counted_exactly(name, count, layers):
    model = build(name, DEFAULT_TASKS[name], 0)
    assert (prunable_count(model), len(prunable(model))) == (count, layers)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", [DIGITS, CIFAR, Task(2, 9, 3)])
def test_every_network_takes_every_task(name, task):
    model = build(name, task, 0)
    assert model(torch.zeros(2, task.channels, task.size, task.size)).shape == (2, task.classes)


def test_resnet20_has_the_layer_names_of_the_published_tables():
    names = list(prunable(build("resnet20", CIFAR, 0)))
    assert names[:3] == ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight"]
    assert "layer2.0.downsample.0.weight" in names and "layer1.0.downsample.0.weight" not in names
    assert names[-1] == "fc.weight"


def test_resnet20_convolutions_start_at_the_variance_of_he():
    weight = build("resnet20", CIFAR, 0).layer3[2].conv2.weight
    # Fan out 9 * 64, variance 2 / fan out; the sample variance of n normals spreads by sqrt(2 / n): 6 spreads allowed.
    expected = 2 / (9 * 64)
    assert abs(weight.var().item() / expected - 1) < 6 * (2 / weight.numel()) ** 0.5


@pytest.mark.parametrize("name", [*NETWORKS, "torchvision:resnet18"])
def test_weights_are_a_function_of_the_seed_alone(name):
    states = []
    for noise in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(noise)
            states.append(initial_state(build(name, CIFAR, 3)))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    other = initial_state(build(name, CIFAR, 4))
    assert not torch.equal(states[0]["conv1.weight"], other["conv1.weight"])


@pytest.mark.parametrize("name", [*NETWORKS, "torchvision:squeezenet1_1"])
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


def test_small_images_get_a_stem_that_keeps_their_resolution():
    model = build("torchvision:resnet18", CIFAR, 0)
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.bias) == ((3, 3), (1, 1), None)
    assert isinstance(model.maxpool, nn.Identity)
    # Published: 11,689,512 parameters for 1000 classes. Less the 7x7 stem and the head of 1000, with ours instead.
    expected = 11_689_512 - 64 * 3 * 40 - 513 * 990
    assert sum(p.numel() for p in model.parameters()) == expected


def test_large_images_keep_the_stem_of_the_paper():
    model = build("torchvision:resnet18", Task(3, 96, 10), 0)
    assert model.conv1.kernel_size == (7, 7) and isinstance(model.maxpool, nn.MaxPool2d)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "googlenet"])
def test_torchvision_networks_take_other_channels_and_classes(name):
    model = build(f"torchvision:{name}", Task(1, 64, 7), 0)
    output = model.train()(torch.zeros(2, 1, 64, 64))
    assert output.shape == (2, 7)


def test_a_replaced_first_convolution_keeps_its_settings():
    model = build("torchvision:mobilenet_v3_small", Task(1, 64, 7), 0)
    first = model.features[0][0]
    assert (first.in_channels, first.out_channels, first.kernel_size, first.stride, first.padding, first.bias) == (
        (1, 16, (3, 3), (2, 2), (1, 1), None)
    )


@pytest.mark.parametrize(("name", "task"), [("alexnet", Task(3, 16, 10)), ("vit_b_16", Task(3, 32, 10))])
def test_torchvision_networks_that_cannot_take_the_images_say_so(name, task):
    with pytest.raises(InputError, match=f"{name} cannot take images of {task.size} x {task.size}"):
        build(f"torchvision:{name}", task, 0)


@pytest.mark.parametrize(("name", "task"), [("digits_cnn", Task(1, 6, 10)), ("resnet20", Task(3, 3, 10))])
def test_images_too_small_are_refused(name, task):
    with pytest.raises(InputError, match=f"{name} needs images of at least"):
        build(name, task, 0)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet21", 'did you mean "resnet20"'),
        ("torchvision:resnet19", 'did you mean "resnet1'),
        ("torchvision:", "unknown torchvision model"),
        (":f", "unknown model"),
        ("", "module:function"),
    ],
)
def test_unknown_networks_are_refused_with_the_way_out(name, hint):
    with pytest.raises(InputError, match=hint):
        build(name, CIFAR, 0)


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
