"""What is found in a network: prunable weights, how they lie, and what is never pruned."""

import pytest
import torch
import torchvision
from fullspectrum.models.errors import InputError
from fullspectrum.models.layers import layout, prunable, unsupported
from fullspectrum.models.layout import Layout
from torch import nn
from torch.nn.utils import parametrizations

from ..everylayer import EveryLayer


def on_meta(name: str) -> nn.Module:
    """A network of torchvision, as published and without memory for its weights."""
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None)


def weights_of(model: nn.Module) -> int:
    return sum(weight.numel() for weight in prunable(model).values())


def test_every_kind_of_layer_is_found_in_module_order():
    assert list(prunable(EveryLayer())) == [
        "volume.weight",
        "patches.weight",
        "depthwise.weight",
        "up.weight",
        "positions.weight",
        "mixing.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "head.weight",
    ]


def test_the_layout_says_groups_and_which_weights_have_the_input_first():
    assert layout(EveryLayer()) == Layout({"depthwise.weight": 8, "up.weight": 2}, ("up.weight", "positions.weight"))
    assert layout(nn.Linear(2, 2)) == Layout()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(2, 2, 1),
        nn.Conv2d(2, 2, 1),
        nn.Conv3d(2, 2, 1),
        nn.ConvTranspose1d(2, 2, 1),
        nn.ConvTranspose2d(2, 2, 1),
        nn.ConvTranspose3d(2, 2, 1),
        nn.Linear(2, 2),
        nn.Embedding(2, 2),
        nn.EmbeddingBag(2, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_a_bare_layer_is_prunable(layer):
    assert prunable(layer) == {"weight": layer.weight} and not unsupported(layer)


def test_attention_between_other_sizes_has_a_projection_for_each():
    attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True)
    assert {name: tuple(weight.shape) for name, weight in prunable(attention).items()} == {
        "q_proj_weight": (4, 4),
        "k_proj_weight": (4, 3),
        "v_proj_weight": (4, 5),
        "out_proj.weight": (4, 4),
    }
    assert unsupported(attention) == {"bias_k": "MultiheadAttention", "bias_v": "MultiheadAttention"}


# By hand. ViT-B/16: 768*3*256, then 12 * (4*768^2 + 2*768*3072), then 768*1000. The others: their published number of
# parameters less those with a single axis: biases, and two for each normalised channel.
@pytest.mark.parametrize(
    ("name", "weights", "layers", "groups", "skipped"),
    [
        ("vit_b_16", 86_292_480, 50, {}, ["class_token", "encoder.pos_embedding"]),
        ("resnext50_32x4d", 25_028_904 - 1000 - 2 * 34_112, 54, {"layer4.2.conv2.weight": 32}, []),
        ("mobilenet_v2", 3_504_872 - 1000 - 2 * 17_056, 53, {"features.1.conv.0.0.weight": 32}, []),
    ],
)
def test_networks_of_torchvision_are_counted_exactly(name, weights, layers, groups, skipped):
    model = on_meta(name)
    assert (weights_of(model), len(prunable(model))) == (weights, layers)
    assert groups.items() <= layout(model).groups.items() and not layout(model).inputs_first
    assert list(unsupported(model)) == skipped


@pytest.mark.parametrize(("name", "grouped"), [("resnext50_32x4d", 16), ("mobilenet_v2", 17), ("efficientnet_b0", 16)])
def test_the_groups_of_a_network_are_those_of_its_convolutions(name, grouped):
    model = on_meta(name)
    groups = layout(model).groups
    assert len(groups) == grouped
    for path, count in groups.items():
        layer = model.get_submodule(path.removesuffix(".weight"))
        assert count == layer.groups and layer.weight.shape[1] == layer.in_channels // count


def test_a_video_network_is_pruned_in_three_dimensions():
    with torch.device("meta"):
        model = torchvision.models.video.r3d_18(weights=None)
    shapes = [weight.ndim for weight in prunable(model).values()]
    # The stem, 16 in the blocks and 3 in the shortcuts, and the head.
    assert shapes.count(5) == 20 and shapes.count(2) == 1 and len(shapes) == 21


@pytest.mark.parametrize("name", ["vit_b_16", "swin_t", "convnext_tiny", "efficientnet_b0"])
def test_every_parameter_is_prunable_or_named_as_unsupported_or_has_a_single_axis(name):
    model = on_meta(name)
    found, skipped = prunable(model).keys(), unsupported(model).keys()
    assert not found & skipped
    assert found | skipped == {n for n, parameter in model.named_parameters() if parameter.ndim > 1}


def test_what_is_never_pruned_is_told_with_the_reason():
    model = nn.ModuleDict(
        {
            "lstm": nn.LSTM(2, 3),
            "cell": nn.GRUCell(2, 3),
            "pair": nn.Bilinear(2, 3, 4),
            "norm": nn.LayerNorm((2, 2)),
            "normed": parametrizations.weight_norm(nn.Linear(2, 2)),
            "fc": nn.Linear(2, 2),
        }
    )
    assert unsupported(model) == {
        "lstm.weight_ih_l0": "recurrent weights of LSTM",
        "lstm.weight_hh_l0": "recurrent weights of LSTM",
        "cell.weight_ih": "recurrent weights of GRUCell",
        "cell.weight_hh": "recurrent weights of GRUCell",
        "pair.weight": "Bilinear",
        "norm.weight": "LayerNorm",
        "norm.bias": "LayerNorm",
        "normed.parametrizations.weight.original0": "its layer computes the weight from it",
        "normed.parametrizations.weight.original1": "its layer computes the weight from it",
    }
    assert list(prunable(model)) == ["fc.weight"]


def test_a_parameter_of_the_users_own_module_names_that_module():
    assert unsupported(EveryLayer()) == {"token": "parameter of EveryLayer outside any layer"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_weight_that_a_hook_computes_is_not_prunable():
    layer = nn.utils.weight_norm(nn.Conv1d(2, 2, 1))
    reason = "its layer computes the weight from it"
    assert unsupported(layer) == {"weight_g": reason, "weight_v": reason}
    with pytest.raises(InputError, match="no layer whose weights could be pruned"):
        prunable(layer)


def test_a_shared_weight_counts_once_under_the_name_that_the_model_gives_it():
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3))
    model[1].weight = model[0].weight
    assert list(prunable(model)) == ["0.weight"] and not unsupported(model)
    assert layout(model).inputs_first == ("0.weight",)


def test_a_model_without_any_is_refused():
    with pytest.raises(InputError, match="Sequential has no layer whose weights could be pruned"):
        prunable(nn.Sequential(nn.BatchNorm2d(3)))


def test_lazy_layers_are_refused_until_they_have_a_shape():
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(InputError, match="1.weight has no shape yet .* call the network once"):
        prunable(model)
    model(torch.ones(1, 2, 2))
    assert prunable(model)["1.weight"].shape == (3, 4)


def test_weights_that_are_no_real_numbers_are_never_pruned():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, dtype=torch.complex64))
    assert list(prunable(model)) == ["0.weight"]
    assert unsupported(model) == {"1.weight": "it holds complex64, no real numbers"}
