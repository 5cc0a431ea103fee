"""The networks of torchvision at the sizes that they were not made for, and at the one they were."""

import pytest
import torch
from fullspectrum.models.architectures.torchvisionnames import NAMES
from fullspectrum.models.errors import InputError
from fullspectrum.models.networks import Task, adaptations, build
from torch import nn
from torchvision import models

CIFAR = Task(3, 32, 10)
CLASSIFIERS = models.list_models(module=models)
SHRUNK = "stem: 7 x 7 convolution of stride 2 made 3 x 3 of stride 1, max pooling dropped"


def on_meta(name: str, task: Task) -> nn.Module:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return build(f"torchvision:{name}", task, 0)


def first_convolution(model: nn.Module) -> nn.Conv2d:
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def test_their_names_are_known_without_torchvision():
    assert list(NAMES) == CLASSIFIERS


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_takes_cifar_and_its_stem_leaves_most_of_the_image(name):
    # That it takes them is tried by `build` itself.
    model = on_meta(name, CIFAR)
    first = first_convolution(model)
    assert first.weight.is_meta
    kept = 32 // first.stride[0]
    # A vision transformer has no other reduction: 8 x 8 patches. The others have, and begin with 16 x 16 or more.
    assert kept == 8 if name.startswith("vit") else kept >= 16
    # VGG has a stem of stride 1 as it was published.
    assert bool(adaptations(model)) is not name.startswith("vgg")
    assert all("\n" not in line and len(line) < 100 for line in adaptations(model))


@pytest.mark.parametrize(
    "name", ["maxvit_t", "mobilenet_v2", "regnet_x_400mf", "resnet18", "swin_t", "vgg11", "vit_b_32"]
)
def test_at_the_published_size_it_is_the_published_network(name):
    model = on_meta(name, Task(3, 224, 1000))
    published = models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert sum(parameter.numel() for parameter in model.parameters()) == published
    assert adaptations(model) == ()


# A stem with max pooling, one without, and windows of one size.
@pytest.mark.parametrize("name", ["squeezenet1_1", "regnet_y_400mf", "maxvit_t"])
def test_a_fitted_network_tells_images_apart_and_teaches_its_stem(name):
    model = build(f"torchvision:{name}", CIFAR, 0).train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        logits = model(torch.randn(3, 3, 32, 32))
        assert logits.shape == (3, 10) and logits.std(dim=0).min() > 0
        logits[:, 0].square().sum().backward()
    assert first_convolution(model).weight.grad.abs().max() > 0


@pytest.fixture(scope="module")
def small_transformer() -> nn.Module:
    return build("torchvision:vit_b_32", Task(3, 16, 10), 0).eval().requires_grad_(False)


def test_a_fitted_vision_transformer_attends_to_every_patch(small_transformer):
    # Of the tokens, because its head is published with weights of 0.
    images = torch.zeros(1, 3, 16, 16, requires_grad=True)
    tokens = small_transformer.conv_proj(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([small_transformer.class_token, tokens], dim=1)
    small_transformer.encoder(tokens)[0, 0, 0].backward()
    assert (images.grad.abs().amax(dim=1) > 0).all()
    assert small_transformer(images).shape == (1, 10)


def test_patches_start_at_the_variance_of_the_published_ones(small_transformer):
    first = small_transformer.conv_proj
    # 1 / fan in; the sample variance of n normals spreads by sqrt(2 / n): 6 spreads allowed.
    assert abs(first.weight.var().item() * 48 - 1) < 6 * (2 / first.weight.numel()) ** 0.5
    assert not first.bias.any()


def test_small_images_get_a_stem_that_keeps_their_resolution():
    model = on_meta("resnet18", CIFAR)
    assert (model.conv1.kernel_size, model.conv1.stride, model.conv1.bias) == ((3, 3), (1, 1), None)
    assert isinstance(model.maxpool, nn.Identity)
    # Published: 11,689,512 parameters for 1000 classes. Less the 7x7 stem and the head of 1000, with ours instead.
    expected = 11_689_512 - 64 * 3 * 40 - 513 * 990
    assert sum(p.numel() for p in model.parameters()) == expected
    assert adaptations(model) == (SHRUNK,)


def test_the_initial_weights_of_a_resnet_stay_what_recorded_masks_were_made_for():
    # The last that are drawn, its stem having been replaced twice, and the last of the published network.
    model = build("torchvision:resnet18", Task(1, 32, 10), 0)
    last = [-0.0460725, -0.0255330, 0.0859825]
    assert model.conv1.weight.flatten()[:3].tolist() == pytest.approx(last, abs=1e-6)
    assert model.fc.bias[:3].tolist() == pytest.approx([0.0034053, 0.0408158, -0.0338759], abs=1e-6)
    assert adaptations(model) == (SHRUNK, "input channels: 1 in place of 3")


def test_large_images_keep_the_stem_of_the_paper():
    model = on_meta("resnet18", Task(3, 96, 10))
    assert model.conv1.kernel_size == (7, 7) and isinstance(model.maxpool, nn.MaxPool2d)
    assert adaptations(model) == ()


# Swin-T: 28,288,354 for 1000 classes. Patches of 2 x 2 for 4 x 4; 10 classes.
# ViT-B/16: 86,567,656. Patches of 4 x 4 for 16 x 16, 65 positions for 197, 10 classes.
@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("swin_t", 28_288_354 - 96 * 3 * 12 - 769 * 990, ("stem: patches of 4 x 4 pixels made 2 x 2",)),
        (
            "vit_b_16",
            86_567_656 - 768 * 3 * 240 - 768 * 132 - 769 * 990,
            ("stem: patches of 16 x 16 pixels made 4 x 4", "positions: 65 in place of 197"),
        ),
    ],
)
def test_transformers_get_smaller_patches_of_small_images(name, count, said):
    model = on_meta(name, CIFAR)
    assert sum(p.numel() for p in model.parameters()) == count
    assert adaptations(model) == said


def test_a_vision_transformer_is_made_for_the_size_of_large_images_too():
    assert adaptations(on_meta("vit_b_16", Task(3, 96, 10))) == ("positions: 37 in place of 197",)


@pytest.mark.parametrize(("size", "window"), [(32, 2), (64, 4), (96, 3), (256, 8)])
def test_the_windows_of_maxvit_are_its_last_feature_map(size, window):
    model = on_meta("maxvit_t", Task(3, size, 10))
    assert model.partition_size == window
    assert adaptations(model)[0] == f"attention: windows and grids of 7 x 7 made {window} x {window}"


def test_auxiliary_classifiers_are_left_out_and_that_is_said():
    assert adaptations(on_meta("googlenet", Task(3, 96, 10))) == ("head: auxiliary classifiers left out",)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "googlenet"])
def test_networks_take_other_channels_and_classes(name):
    model = build(f"torchvision:{name}", Task(1, 64, 7), 0)
    output = model.train()(torch.zeros(2, 1, 64, 64))
    assert output.shape == (2, 7)


def test_a_replaced_first_convolution_keeps_its_settings():
    first = on_meta("mobilenet_v3_small", Task(1, 96, 7)).features[0][0]
    assert (first.in_channels, first.out_channels, first.kernel_size, first.stride, first.padding, first.bias) == (
        (1, 16, (3, 3), (2, 2), (1, 1), None)
    )


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        ("vgg11", 8, "vgg11 cannot take images of 8 x 8 pixels"),
        ("inception_v3", 16, "inception_v3 cannot take images of 16 x 16 pixels"),
        ("vit_b_16", 30, "vit_b_16 needs images whose side is a multiple of 4 pixels, but got 30 x 30"),
        ("vit_b_16", 100, "vit_b_16 needs images whose side is a multiple of 16 pixels, but got 100 x 100"),
        ("maxvit_t", 40, "maxvit_t needs images whose side is a multiple of 16 pixels, but got 40 x 40"),
        ("maxvit_t", 112, "maxvit_t needs images whose side is a multiple of 32 pixels, but got 112 x 112"),
    ],
)
def test_networks_that_cannot_take_the_images_say_so_in_one_line(name, size, reason):
    with pytest.raises(InputError, match=f"torchvision:{reason}") as caught:
        on_meta(name, Task(3, size, 10))
    assert "\n" not in str(caught.value)
