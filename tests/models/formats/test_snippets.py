"""The programs beside exports: each is run, in a network of plain torch or beside what stands for a trainer."""

import runpy
import sys
from types import ModuleType

import onnx
import pytest
import torch
from fullspectrum.models.formats import FORMATS, export
from fullspectrum.models.masks import MaskSet
from onnx import TensorProto, helper, numpy_helper
from torch import nn


class Network(nn.Module):
    """A grouped convolution, a normalisation, and two linear layers that share a weight."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, groups=2)
        self.norm = nn.BatchNorm2d(4)
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(self.norm(self.conv(x)).relu().flatten(1)).relu())


IMAGES = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Network().state_dict()


@pytest.fixture
def masks(state) -> MaskSet:
    generator = torch.Generator().manual_seed(1)
    return MaskSet({k: torch.rand(state[k].shape, generator=generator) < 0.4 for k in ("conv.weight", "first.weight")})


def masked_output(state, masks) -> torch.Tensor:
    """What the network computes under the masks."""
    network = Network()
    network.load_state_dict(state)
    with torch.no_grad():
        for name, mask in masks.items():
            network.get_parameter(name)[torch.tensor(~mask)] = 0
    return network.eval()(IMAGES)


def program(tmp_path, name, masks, state, **options):
    """Export, and return the function that the program beside the export has."""
    export(name, tmp_path / "best file's.pt", masks, state, **options)
    return runpy.run_path(tmp_path / "best file's.pt.py")["load"]


@pytest.mark.parametrize("name", ["fullspectrum", "torch-prune", "state-dict", "ramanujan", "csr"])
def test_a_plain_network_is_masked_by_the_program(tmp_path, name, masks, state):
    network = program(tmp_path, name, masks, state)(Network())
    assert torch.equal(network.eval()(IMAGES), masked_output(state, masks))


@pytest.mark.parametrize("name", ["fullspectrum", "torch-prune", "state-dict", "ramanujan", "csr"])
def test_a_network_that_is_a_part_of_another_is_masked_by_the_program(tmp_path, name, masks, state):
    whole = nn.ModuleDict({"backbone": Network(), "head": nn.Linear(16, 2)})
    whole = program(tmp_path, name, masks, state, prefix="backbone.")(whole)
    assert torch.equal(whole["backbone"].eval()(IMAGES), masked_output(state, masks))


@pytest.mark.parametrize("name", ["fullspectrum", "ramanujan"])
def test_masks_alone_leave_the_networks_own_weights(tmp_path, name, masks, state):
    network, alone = Network(), MaskSet({"conv.weight": masks["conv.weight"]})
    network.load_state_dict(state)
    assert torch.equal(program(tmp_path, name, alone, None)(network).eval()(IMAGES), masked_output(state, alone))


def test_a_safetensors_state_dict_is_read_by_safetensors(tmp_path, masks, state):
    export("state-dict", tmp_path / "best.safetensors", masks, state)
    text = (tmp_path / "best.safetensors.py").read_text()
    network = runpy.run_path(tmp_path / "best.safetensors.py")["load"](Network())
    assert "torch.load" not in text and torch.equal(network.eval()(IMAGES), masked_output(state, masks))


@pytest.mark.parametrize("name", ["torch-prune", "state-dict", "csr", "synaptic-flow"])
def test_another_network_is_refused(tmp_path, name, masks, state):
    with pytest.raises((RuntimeError, AttributeError)):
        program(tmp_path, name, masks, state)(nn.Linear(16, 16))


class Masked(nn.Module):
    """A layer of Synaptic-Flow's form: it multiplies its weight and its bias by masks."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.register_buffer("weight_mask", torch.ones(layer.weight.shape))
        self.register_buffer("bias_mask", torch.ones(layer.bias.shape))


class SynapticNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        plain = Network()
        self.conv, self.norm = Masked(plain.conv), Masked(plain.norm)
        self.first, self.second = Masked(plain.first), Masked(plain.second)
        for name, buffer in plain.norm.named_buffers():
            self.norm.register_buffer(name, buffer)


def test_layers_of_synaptic_flow_take_the_state_dict_strictly(tmp_path, masks, state):
    network = program(tmp_path, "synaptic-flow", masks, state)(SynapticNetwork())
    assert torch.equal(network.conv.weight_mask, torch.tensor(masks["conv.weight"]).float())
    assert torch.equal(network.second.weight_mask, torch.tensor(masks["first.weight"]).float())
    assert network.norm.weight_mask.all() and torch.equal(network.first.weight, state["first.weight"])


class Masking:
    """What ITOP's Masking has after add_module: of each parameter but biases and normalisations a mask."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.masks = {k: torch.zeros_like(p) for k, p in model.named_parameters() if "bias" not in k and p.ndim > 1}

    def apply_mask(self) -> None:
        for name, parameter in self.model.named_parameters():
            if name in self.masks:
                parameter.data = parameter.data * self.masks[name]


def test_the_masking_of_itop_takes_the_masks(tmp_path, masks, state):
    network = Network()
    masking = program(tmp_path, "itop", masks, state)(network, Masking(network))
    assert torch.equal(network.eval()(IMAGES), masked_output(state, masks))
    assert masking.fired_masks.keys() == masks.keys()
    with pytest.raises(KeyError, match="first.weight"):
        runpy.run_path(tmp_path / "best file's.pt.py")["load"](network, Masking(nn.Sequential()))


def test_open_lth_gets_a_mask_of_every_prunable_layer(tmp_path, masks, state, monkeypatch):
    class Mask(dict):
        @staticmethod
        def ones_like(model):
            return Mask({name: torch.ones_like(model.state_dict()[name]) for name in model.prunable_layer_names})

    for module, name, value in (("mask", "Mask", Mask), ("pruned_model", "PrunedModel", lambda *both: both)):
        stand_in = ModuleType(f"pruning.{module}")
        setattr(stand_in, name, value)
        monkeypatch.setitem(sys.modules, f"pruning.{module}", stand_in)
    monkeypatch.setitem(sys.modules, "pruning", ModuleType("pruning"))
    network = Network()
    network.prunable_layer_names = ["conv.weight", "first.weight", "second.weight"]
    some = MaskSet({"conv.weight": masks["conv.weight"]})
    model, mask = program(tmp_path, "open-lth", some, state)(network)
    assert list(mask) == network.prunable_layer_names and mask["first.weight"].all()
    assert mask["conv.weight"].dtype == torch.int32 and torch.equal(model.conv.weight, state["conv.weight"])


def test_an_onnx_model_gets_the_weights_sparse_where_they_are_masked(tmp_path):
    state = {"a": torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "b": torch.tensor([5.0, 6.0])}
    export("onnx", tmp_path / "best.onnx", MaskSet({"a": [[1, 0], [0, 1]]}), state)
    given = [numpy_helper.from_array(torch.zeros(tensor.shape).numpy(), name) for name, tensor in state.items()]
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    nodes = [helper.make_node("Gemm", ["x", "a", "b"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "graph", shapes[:1], shapes[1:], given))
    model = runpy.run_path(tmp_path / "best.onnx.py")["load"](model)
    onnx.checker.check_model(model)
    (sparse,), (dense,) = model.graph.sparse_initializer, model.graph.initializer
    assert numpy_helper.to_array(sparse.values).tolist() == [0.0, 3.0] and list(sparse.dims) == [2, 2]
    assert numpy_helper.to_array(dense).tolist() == [5.0, 6.0]
    with pytest.raises(KeyError, match="no initializer"):
        runpy.run_path(tmp_path / "best.onnx.py")["load"](helper.make_model(helper.make_graph([], "none", [], [])))


@pytest.mark.parametrize("name", FORMATS)
def test_a_program_reads_the_files_that_stand_beside_it(tmp_path, name, masks, state):
    export(name, tmp_path / "best.pt", masks, state)
    text = (tmp_path / "best.pt.py").read_text()
    assert "HERE / 'best.pt'" in text and len(text.splitlines()) < 45
    assert str(tmp_path) not in text
