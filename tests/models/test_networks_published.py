"""The networks that the package defines, against the papers they are from."""

import pytest
import torch
import torchvision
from fullspectrum.models.architectures.wide_resnet import PreActivationBlock
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import prunable
from fullspectrum.models.networks import NETWORKS, Task, adaptations, build, default_task
from torch import nn

CIFAR = Task(3, 32, 10)
LEAST_SIZES = {"lenet-300-100": 1, "digits_cnn": 7, "conv-6": 8, "vgg16-bn": 16, "vgg19-bn": 16}
NAMES = [*NETWORKS, "wrn-28-1", "wrn-28-3"]


def on_meta(name: str, task: Task | None = None) -> nn.Module:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return build(name, task or default_task(name), 0)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# By hand. digits_cnn: 9*32 + 9*32*64 + 9*64*128 + 2048*200 + 200*10. ResNets: 9*3*16 + 6n*9*16^2 before n = 1, 3, 5, 9
# blocks fix the rest: 9*16*32 + (2n-1)*9*32^2 + 16*32, then 9*32*64 + (2n-1)*9*64^2 + 32*64, and 64*10.
# LeNet: 784*300 + 300*100 + 100*10. Conv-6: 9 * (3*64 + 64^2 + 64*128 + 128^2 + 128*256 + 256^2), and
# 4096*256 + 256^2 + 256*10.
@pytest.mark.parametrize(
    ("name", "count", "layers"),
    [
        ("digits_cnn", 504_048, 5),
        ("resnet20", 270_896, 22),
        ("resnet32", 464_432, 34),
        ("resnet56", 851_504, 58),
        ("lenet-300-100", 266_200, 3),
        ("conv-6", 2_261_184, 9),
    ],
)
def test_prunable_weights_are_counted_exactly(name, count, layers):
    weights = prunable(on_meta(name))
    assert (sum(weight.numel() for weight in weights.values()), len(weights)) == (count, layers)


# He et al., table 6. Their shortcuts (option A) have no parameters: less our two projections and their normalisation.
@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85)])
def test_residual_networks_have_the_published_size(depth, millions):
    projections = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    assert round((parameters(on_meta(f"resnet{depth}")) - projections) / 1e6, 2) == millions


# Zagoruyko and Komodakis, tables 4 and 5.
@pytest.mark.parametrize(("widening", "millions"), [(10, 36.5), (12, 52.5)])
def test_wide_residual_networks_have_the_published_size(widening, millions):
    model = on_meta(f"wrn-28-{widening}")
    assert round(parameters(model) / 1e6, 1) == millions
    # Depth 28: 6 * 4 convolutions, the first one, and three projections; the linear layer beside them.
    assert len(prunable(model)) == 24 + 1 + 3 + 1


# torchvision's networks have 1000 classes and two more linear layers, but the same convolutions in the same places; the
# pooling that we leave out at the end has no parameters.
@pytest.mark.parametrize(("depth", "count"), [(16, 14_728_266), (19, 20_040_522)])
def test_vgg_networks_have_the_convolutions_of_the_paper_and_one_linear_layer(depth, count):
    model = on_meta(f"vgg{depth}-bn")
    with torch.device("meta"):
        published = torchvision.models.get_model(f"vgg{depth}_bn", weights=None).features
    assert {name: tensor.shape for name, tensor in model.features.state_dict().items()} == {
        name: tensor.shape for name, tensor in published.state_dict().items()
    }
    assert model.classifier.weight.shape == (10, 512)
    assert parameters(model) == count


@pytest.mark.parametrize("name", NAMES)
def test_every_network_takes_every_image_that_is_large_enough(name):
    least = LEAST_SIZES.get(name, 4)
    for task in (Task(1, least, 2), Task(2, 37, 3), Task(3, 64, 200)):
        images = torch.empty(2, task.channels, task.size, task.size, device="meta")
        assert on_meta(name, task)(images).shape == (2, task.classes)
    if least > 1:
        with pytest.raises(InputError, match=f"{name} needs images of at least {least} x {least} pixels"):
            build(name, Task(3, least - 1, 10), 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_tells_images_apart_and_teaches_its_first_layer(name):
    model = build(name, CIFAR, 0)
    logits = model(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (4, 10) and logits.std(dim=0).min() > 0
    logits[:, 0].square().sum().backward()
    assert next(model.parameters()).grad.abs().max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_ours_are_not_adapted(name):
    assert adaptations(on_meta(name)) == ()


def test_resnet20_has_the_layer_names_of_the_published_tables():
    names = list(prunable(on_meta("resnet20")))
    assert names[:3] == ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight"]
    assert "layer2.0.downsample.0.weight" in names and "layer1.0.downsample.0.weight" not in names
    assert names[-1] == "fc.weight"


def test_the_initial_weights_of_resnet20_stay_what_recorded_masks_were_made_for():
    # The last that are drawn, and the last before the convolutions are drawn again.
    model = build("resnet20", CIFAR, 0)
    last = [-0.0847141, -0.0802592, 0.0384776]
    assert model.layer3[2].conv2.weight.flatten()[:3].tolist() == pytest.approx(last, abs=1e-6)
    assert model.fc.bias[:3].tolist() == pytest.approx([-0.1064038, -0.0787842, -0.0340247], abs=1e-6)


# He et al. 2015: 2 / fan out for the residual networks, 2 / fan in for VGG. Glorot and Bengio: 2 / (fan in + fan out).
@pytest.mark.parametrize(
    ("name", "layer", "variance"),
    [
        ("resnet20", "layer3.2.conv2", 2 / (9 * 64)),
        ("wrn-28-1", "layer2.0.conv1", 2 / (9 * 32)),
        ("vgg16-bn", "features.7", 2 / (9 * 64)),
        ("lenet-300-100", "fc1", 2 / (3072 + 300)),
        ("conv-6", "features.5", 2 / (9 * (64 + 128))),
    ],
)
def test_weights_start_at_the_published_variance(name, layer, variance):
    weight = build(name, CIFAR, 0).get_submodule(layer).weight
    # The sample variance of n normals spreads by sqrt(2 / n): 6 spreads allowed.
    assert abs(weight.var().item() / variance - 1) < 6 * (2 / weight.numel()) ** 0.5


@pytest.mark.parametrize("name", ["lenet-300-100", "conv-6", "vgg16-bn"])
def test_biases_start_at_zero(name):
    layers = [module for module in build(name, CIFAR, 0).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert not any(layer.bias.any() for layer in layers)


def test_a_wide_block_adds_its_residual_to_what_came_in_or_to_a_projection_of_its_activation():
    images = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    for outputs, stride in ((4, 1), (8, 2)):
        block = PreActivationBlock(4, outputs, stride)
        nn.init.zeros_(block.conv2.weight)
        expected = images if block.shortcut is None else block.shortcut(torch.relu(block.bn1(images)))
        assert torch.equal(block(images), expected)
    assert block.shortcut is not None
