import json
import os
import sys

import numpy as np
import onnx
import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats import FORMATS, export, load
from fullspectrum.models.formats.state_dict import zeroed
from fullspectrum.models.masks import MaskSet, check_fits
from fullspectrum.models.networks import DEFAULT_TASKS, build, initial_state
from fullspectrum.models.weights import init_digest, load_state, save_state
from torch import nn
from torch.nn.utils import prune


class PlainDigitsCNN(nn.Module):
    """The architecture as another project would write it down: nothing of ours in it."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64)
        self.conv3, self.bn3 = nn.Conv2d(64, 128, 3, padding=1, bias=False), nn.BatchNorm2d(128)
        self.fc1, self.fc2 = nn.Linear(2048, 200), nn.Linear(200, 10)

    def forward(self, x):
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = norm(conv(x)).relu()
        return self.fc2(self.fc1(x.flatten(1)).relu())


@pytest.fixture
def model() -> nn.Module:
    return build("digits_cnn", DEFAULT_TASKS["digits_cnn"], 0)


@pytest.fixture
def masks(model, random_masks) -> MaskSet:
    return random_masks(model)


def test_a_plain_module_takes_torch_prune_files_strictly_and_trains_with_zeros_kept(tmp_path, model, masks, digits):
    written = export("torch-prune", tmp_path / "best.pt", masks, initial_state(model))
    assert [path.name for path in written] == ["best.pt", "best.pt.json", "best.pt.py"]
    plain = PlainDigitsCNN()
    for name in ("conv1", "conv2", "conv3", "fc1", "fc2"):
        prune.identity(plain.get_submodule(name), "weight")
    plain.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True), strict=True)
    for name, mask in masks.items():
        assert torch.equal(plain.get_parameter(f"{name}_orig"), model.get_parameter(name))
        assert torch.equal(plain.get_buffer(f"{name}_mask"), torch.tensor(mask).float())
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    train = digits.splits["train"]
    losses = []
    for step in range(12):
        rows = slice(64 * step, 64 * step + 64)
        loss = nn.functional.cross_entropy(plain(train.images[rows] / 255), train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    plain(train.images[:1] / 255)
    for name, mask in masks.items():
        layer = plain.get_submodule(name.removesuffix(".weight"))
        assert torch.count_nonzero(layer.weight[torch.tensor(~mask)]) == 0


class Shared(nn.Module):
    """Two convolutions with one weight, and one that stands in two places."""

    def __init__(self):
        super().__init__()
        self.b, self.a = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)
        self.a.weight = self.b.weight
        self.twice = nn.ModuleList([nn.Conv2d(1, 1, 3)] * 2)


@pytest.mark.parametrize("by_file", [False, True], ids=["in memory", "by a file of weights"])
def test_torch_prune_masks_a_weight_in_every_layer_that_shares_it(tmp_path, random_masks, by_file):
    model = Shared()
    masks, state = random_masks(model, sparsity=0.4), initial_state(model)
    assert list(masks) == ["b.weight", "twice.0.weight"] and masks.size == 18
    export(
        "torch-prune", tmp_path / "best.pt", masks, load_state(save_state(tmp_path / "w", state)) if by_file else state
    )
    plain = Shared()
    for layer in (plain.a, plain.b, plain.twice[0]):
        prune.identity(layer, "weight")
    plain.load_state_dict(torch.load(tmp_path / "best.pt", weights_only=True), strict=True)
    plain.twice[0](plain.a(plain.b(torch.ones(1, 1, 9, 9))))
    for layer, name in ((plain.a, "b"), (plain.b, "b"), (plain.twice[1], "twice.0")):
        expected = model.get_parameter(f"{name}.weight") * torch.tensor(masks[f"{name}.weight"])
        assert torch.equal(layer.weight, expected)
    loaded, weights = load("torch-prune", tmp_path / "best.pt")
    assert loaded == masks and init_digest(weights) == init_digest(state)


def test_layers_that_share_a_weight_under_masks_of_their_own_keep_them(tmp_path):
    model = Shared()
    prune.random_unstructured(model.a, "weight", 2)
    prune.random_unstructured(model.b, "weight", 5)
    torch.save(model.state_dict(), tmp_path / "foreign.pt")
    masks, _ = load("torch-prune", tmp_path / "foreign.pt")
    assert {name: mask.sum() for name, mask in masks.items()} == {"a.weight": 7, "b.weight": 4}


def test_torch_prune_masks_have_the_dtype_of_the_weights(tmp_path):
    state = {"fc.weight": torch.ones(1, 2, dtype=torch.float64), "fc.bias": torch.ones(1)}
    export("torch-prune", tmp_path / "best.pt", MaskSet({"fc.weight": [[1, 0]]}), state)
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    assert list(saved) == ["fc.weight_orig", "fc.weight_mask", "fc.bias"]
    assert saved["fc.weight_mask"].dtype == torch.float64


def test_torch_prune_files_do_not_carry_the_storage_behind_a_view(tmp_path):
    state = {"fc.weight": torch.ones(1_000_000)[:2]}
    export("torch-prune", tmp_path / "best.pt", MaskSet({"fc.weight": [1, 0]}), state)
    assert (tmp_path / "best.pt").stat().st_size < 10_000


def test_our_own_format_keeps_masks_weights_and_the_digest_that_ties_them(tmp_path, model, masks):
    state = initial_state(model)
    written = export("fullspectrum", tmp_path / "best.safetensors", masks, state)
    assert written[:2] == [tmp_path / "best.safetensors", tmp_path / "best.init.safetensors"]
    loaded = MaskSet.load(written[0])
    assert loaded == masks and loaded.metadata["init_digest"] == init_digest(load_state(written[1])) == init_digest(
        state
    )


def test_the_weights_file_keeps_dots_of_another_name(tmp_path, model, masks):
    written = export("fullspectrum", tmp_path / "run.v2", masks, initial_state(model))
    assert [path.name for path in written][:2] == ["run.v2", "run.v2.init.safetensors"]


@pytest.mark.parametrize("name", FORMATS)
def test_weights_that_the_masks_were_not_made_for_are_refused(tmp_path, name, model, masks):
    made_for = MaskSet(masks, {"init_digest": init_digest(model.state_dict())})
    other = build("digits_cnn", DEFAULT_TASKS["digits_cnn"], 1)
    with pytest.raises(InputError, match="not the initial weights"):
        export(name, tmp_path / "best", made_for, initial_state(other))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_masks_that_do_not_fit_the_weights_are_refused(tmp_path, name, model):
    with pytest.raises(InputError, match="fc9.weight"):
        export(name, tmp_path / "best", MaskSet({"fc9.weight": [1]}), initial_state(model))


@pytest.mark.parametrize("name", FORMATS)
def test_symbolic_links_and_missing_folders_are_refused(tmp_path, name, model, masks):
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "target")
    (tmp_path / "beside.init.safetensors").symlink_to(tmp_path / "target")
    refused = [tmp_path / "link.safetensors", tmp_path / "absent" / "best"]
    if name == "fullspectrum":
        refused.append(tmp_path / "beside.safetensors")
    for path in refused:
        with pytest.raises(InputError, match="cannot write"):
            export(name, path, masks, initial_state(model))
    assert sorted(os.listdir(tmp_path)) == ["beside.init.safetensors", "link.safetensors"]


@pytest.mark.parametrize("name", FORMATS)
def test_wrapped_names_are_exported_under_the_names_of_the_weights(tmp_path, name, model, masks):
    wrapped = MaskSet({f"module.{key}": mask for key, mask in masks.items()})
    export(name, tmp_path / "plain", masks, initial_state(model))
    export(name, tmp_path / "wrapped", wrapped, initial_state(model))
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "wrapped").read_bytes()


def test_an_unknown_format_names_the_nearest_and_all(tmp_path, model, masks):
    with pytest.raises(InputError, match='did you mean "torch-prune".*fullspectrum, torch-prune'):
        export("torch_prune", tmp_path / "best", masks, initial_state(model))


def test_every_format_is_described_in_one_line():
    assert all(format.description and "\n" not in format.description for format in FORMATS.values())


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_exported_is_loaded_as_it_was(tmp_path, name, model, masks):
    state = initial_state(model)
    export(name, tmp_path / "best", masks, state)
    loaded, weights = load(name, tmp_path / "best")
    kept = zeroed(masks, state) if FORMATS[name].zeroes_removed else state
    assert loaded == masks and init_digest(weights) == init_digest(kept)


def test_what_torch_prune_itself_has_masked_is_loaded(tmp_path, model):
    before = model.fc2.weight.detach().clone()
    prune.l1_unstructured(model.fc2, "weight", amount=0.75)
    torch.save(model.state_dict(), tmp_path / "foreign.pt")
    masks, state = load("torch-prune", tmp_path / "foreign.pt")
    assert list(masks) == ["fc2.weight"] and masks.sparsity == 0.75
    assert torch.equal(state["fc2.weight"], before) and "conv1.weight" in state


def test_masks_without_weights_beside_them_are_loaded_alone(tmp_path, masks):
    masks.save(tmp_path / "best.safetensors")
    assert load("fullspectrum", tmp_path / "best.safetensors") == (masks, None)


def test_other_weights_beside_the_masks_are_refused(tmp_path, model, masks):
    _, weights, *_ = export("fullspectrum", tmp_path / "best.safetensors", masks, initial_state(model))
    save_state(weights, initial_state(build("digits_cnn", DEFAULT_TASKS["digits_cnn"], 1)))
    with pytest.raises(InputError, match="best.safetensors: these are not the initial weights"):
        load("fullspectrum", tmp_path / "best.safetensors")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"fc.weight": torch.ones(2)}, "at least one parameter"),
        ({"fc.weight_orig": torch.ones(2), "fc.weight_mask": torch.tensor([1, 2])}, "only 0 and 1, but holds 2"),
        ({"fc.weight_orig": torch.ones(2), "fc.weight_mask": torch.ones(3)}, "mask of shape .3,. for weights of shape"),
        ({f"fc{part}": torch.ones(2) for part in ("", "_orig", "_mask")}, "at least one parameter"),
        ({"../fc_orig": torch.ones(2), "../fc_mask": torch.ones(2)}, "is not a parameter's name"),
    ],
)
def test_a_state_dict_that_is_none_of_torch_prune_is_refused(tmp_path, state, message):
    torch.save(state, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match=f"foreign.pt: .*{message}"):
        load("torch-prune", tmp_path / "foreign.pt")


def test_a_users_format_is_found_by_module_and_class(tmp_path, user_module, model, masks):
    name = user_module(
        "from fullspectrum.models.formats.torch_prune import TorchPrune\nclass Own(TorchPrune):\n    pass"
    )
    export(f"{name}:Own", tmp_path / "best", masks, initial_state(model))
    assert load(f"{name}:Own", tmp_path / "best")[0] == masks


def test_the_sidecar_says_what_was_written(tmp_path):
    state = {"fc.weight": torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "fc.bias": torch.ones(2)}
    masks = MaskSet({"fc.weight": [[1, 0], [0, 0]]})
    found = {"study": "abc", "imdb": float("nan"), "recipe": {"epochs": 2}}
    written = export("state-dict", tmp_path / "best.pt", masks, state, prefix="backbone.", provenance=found)
    assert [path.name for path in written] == ["best.pt", "best.pt.json", "best.pt.py"]
    assert json.loads((tmp_path / "best.pt.json").read_text()) == {
        "schema_version": 1,
        "format": "state-dict",
        "prefix": "backbone.",
        "sparsity": 0.75,
        "kept": 1,
        "size": 4,
        "layers": {"fc.weight": 0.75},
        "mask": "inferred",
        "kept_zeros": 1,
        "weights": "kept",
        "mask_digest": masks.digest(),
        "weights_digest": init_digest(state),
        "provenance": {"study": "abc", "imdb": None, "recipe": {"epochs": 2}},
    }


@pytest.mark.parametrize("provenance", [{"a": object()}, {"a": {("b",): 1}}, [1]])
def test_a_provenance_that_is_no_json_object_is_refused(tmp_path, provenance):
    with pytest.raises(InputError, match="provenance must be a JSON object"):
        export("fullspectrum", tmp_path / "best", MaskSet({"a": [1]}), None, provenance=provenance)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_masks_alone_are_written_where_the_format_has_a_place_for_them(tmp_path, name, masks):
    alone = MaskSet(masks, {"init_digest": "0" * 64})
    if FORMATS[name].needs_weights:
        with pytest.raises(InputError, match=f'"{name}" cannot be written without weights'):
            export(name, tmp_path / "best", alone, None)
        assert not os.listdir(tmp_path)
    else:
        export(name, tmp_path / "best", alone, None)
        assert load(name, tmp_path / "best") == (masks, None)
        about = json.loads((tmp_path / "best.json").read_text())
        assert about["weights"] is None and about["weights_digest"] == "0" * 64


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].needs_weights])
def test_weights_of_another_export_are_not_left_beside_masks_alone(tmp_path, name, model, masks):
    export(name, tmp_path / "best.pt", masks, initial_state(model))
    with pytest.raises(InputError, match=r"without weights: .*init.* stands beside it; remove it"):
        export(name, tmp_path / "best.pt", masks, None)


@pytest.mark.parametrize("name", FORMATS)
def test_a_prefix_stands_before_every_name(tmp_path, name, model, masks):
    state = initial_state(model)
    made_for = MaskSet(masks, {"init_digest": init_digest(state), "groups": '{"conv1.weight": 2}'})
    export(name, tmp_path / "best.pt", made_for, state, prefix="net.backbone.")
    loaded, weights = load(name, tmp_path / "best.pt")
    assert list(loaded) == [f"net.backbone.{key}" for key in masks]
    assert weights.keys() == {f"net.backbone.{key}" for key in state}
    if name == "fullspectrum":
        assert loaded.metadata["groups"] == '{"net.backbone.conv1.weight": 2}'
    # Of the same network without the prefix the masks are those again.
    assert check_fits(loaded, state) == masks


@pytest.mark.parametrize("prefix", ["backbone", ".", "a..b.", " "])
def test_a_prefix_that_is_no_module_and_a_dot_is_refused(tmp_path, model, masks, prefix):
    with pytest.raises(InputError, match="prefix"):
        export("fullspectrum", tmp_path / "best", masks, initial_state(model), prefix=prefix)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_links_are_refused_in_the_place_of_what_stands_beside(tmp_path, name, model, masks):
    for beside in ("best.pt.json", "best.pt.py"):
        (tmp_path / beside).symlink_to(tmp_path / "target")
        with pytest.raises(InputError, match=f"cannot write .*{beside}: it is a symbolic link"):
            export(name, tmp_path / "best.pt", masks, initial_state(model))
        (tmp_path / beside).unlink()
    assert not os.listdir(tmp_path)


BROKEN = """
from fullspectrum.models.formats.torch_prune import TorchPrune
class Mask(TorchPrune):
    def encode(self, masks, state):
        result = super().encode(masks, state)
        result["fc1.weight_mask"][0, 0] = 1 - result["fc1.weight_mask"][0, 0]
        return result
class Weight(TorchPrune):
    def encode(self, masks, state):
        return super().encode(masks, {**state, "fc2.bias": -state["fc2.bias"]})
class Missing(TorchPrune):
    def encode(self, masks, state):
        return super().encode(masks, {key: state[key] for key in state if key != "fc2.bias"})
"""


@pytest.mark.parametrize(
    ("broken", "what"),
    [("Mask", "the mask of fc1.weight"), ("Weight", "the weight fc2.bias"), ("Missing", "the weight fc2.bias")],
)
def test_a_file_that_does_not_hold_what_was_written_is_refused_and_removed(
    tmp_path, user_module, model, masks, broken, what
):
    name = user_module(BROKEN)
    before = set(os.listdir(tmp_path))
    with pytest.raises(InputError, match=f"best.pt: does not hold what was written to it: {what} reads back otherwise"):
        export(f"{name}:{broken}", tmp_path / "best.pt", masks, initial_state(model))
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == before


def test_open_lth_has_its_report_of_sparsity_beside_the_masks(tmp_path, model, masks):
    written = export("open-lth", tmp_path / "mask.pth", masks, initial_state(model))
    assert [path.name for path in written[:3]] == ["mask.pth", "mask.init.pth", "sparsity_report.json"]
    assert json.loads(written[2].read_text()) == {"total": float(masks.size), "unpruned": float(masks.kept)}
    saved = torch.load(written[0], weights_only=True)
    assert list(saved) == list(masks) and all(mask.dtype == torch.int32 for mask in saved.values())


def test_synaptic_flow_has_masks_of_ones_of_what_is_not_pruned(tmp_path, model, masks):
    export("synaptic-flow", tmp_path / "model.pt", masks, initial_state(model))
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(f"{name}_mask" in saved for name, _ in model.named_parameters())
    assert saved["bn1.weight_mask"].all() and saved["fc1.bias_mask"].all()
    assert torch.equal(saved["fc1.weight_mask"], torch.tensor(masks["fc1.weight"]).float())


def test_rigl_torch_lists_masks_in_the_order_of_layers_and_none_for_one_without_a_mask(tmp_path, model, masks):
    some = MaskSet({name: mask for name, mask in reversed(list(masks.items())) if name != "conv2.weight"})
    export("rigl-torch", tmp_path / "rigl.pt", some, initial_state(model))
    saved = torch.load(tmp_path / "rigl.pt", weights_only=True)
    layers = ["conv1.weight", "conv2.weight", "conv3.weight", "fc1.weight", "fc2.weight"]
    assert saved["N"] == [masks[name].size for name in layers] and saved["_linear_layers_mask"] == [0, 0, 0, 1, 1]
    assert [mask is None for mask in saved["backward_masks"]] == [False, True, False, False, False]
    assert saved["S"] == pytest.approx([some.layer_sparsity.get(name, 0.0) for name in layers])


def test_rigl_torch_has_names_from_the_network_alone_where_no_weights_stand_beside(tmp_path, model, masks):
    export("rigl-torch", tmp_path / "rigl.pt", masks, initial_state(model))
    (tmp_path / "rigl.init.pt").unlink()
    loaded, weights = load("rigl-torch", tmp_path / "rigl.pt")
    assert list(loaded) == ["0", "1", "2", "3", "4"] and weights is None
    assert load("rigl-torch", tmp_path / "rigl.pt", model.state_dict())[0] == masks
    with pytest.raises(InputError, match="holds a mask of layer 4, but the network has 1 weighted layer"):
        load("rigl-torch", tmp_path / "rigl.pt", {"fc.weight": torch.ones(1, 1)})


@pytest.mark.parametrize(("name", "leaf"), [("modelopt", "in_proj_weight"), ("rigl-torch", "in_proj_weight")])
def test_masks_that_a_format_has_no_place_for_are_named(tmp_path, name, leaf):
    masks, state = MaskSet({f"attention.{leaf}": [[1, 0]]}), {f"attention.{leaf}": torch.ones(1, 2)}
    with pytest.raises(InputError, match=f"masks the weight of a layer, but there are masks of attention.{leaf}"):
        export(name, tmp_path / "best.pt", masks, state)
    assert not os.listdir(tmp_path)


def test_csr_is_what_torch_makes_of_the_masked_weights(tmp_path, model, masks):
    state = initial_state(model)
    export("csr", tmp_path / "best.pt", masks, state)
    saved = torch.load(tmp_path / "best.pt", weights_only=True)
    for name, mask in masks.items():
        expected = (state[name] * torch.tensor(mask)).flatten(1).to_sparse_csr()
        assert torch.equal(saved[f"{name}.crow_indices"], expected.crow_indices())
        assert torch.equal(saved[f"{name}.col_indices"], expected.col_indices())
        assert torch.equal(saved[f"{name}.values"], expected.values())
        assert saved[f"{name}.shape"].tolist() == list(mask.shape)


def test_onnx_has_sorted_int64_indices_and_passes_its_own_checker(tmp_path, model, masks):
    export("onnx", tmp_path / "best.onnx", masks, initial_state(model))
    saved = onnx.load(tmp_path / "best.onnx")
    onnx.checker.check_model(saved, full_check=True)
    sparse = {each.values.name: each for each in saved.graph.sparse_initializer}
    assert sparse.keys() == masks.keys()
    for name, mask in masks.items():
        assert sparse[name].indices.data_type == onnx.TensorProto.INT64
        assert onnx.numpy_helper.to_array(sparse[name].indices).tolist() == np.flatnonzero(mask).tolist()
        assert list(sparse[name].dims) == list(mask.shape)


def test_without_the_library_onnx_one_line_says_what_to_install(tmp_path, model, masks, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for attempt in (
        lambda: export("onnx", tmp_path / "best.onnx", masks, initial_state(model)),
        lambda: load("onnx", tmp_path / "best.onnx"),
    ):
        with pytest.raises(InputError, match=r'needs the library onnx.*pip install "fullspectrum\[onnx\]"'):
            attempt()


def test_a_state_dict_is_safetensors_where_its_name_says_so(tmp_path, model, masks):
    state = initial_state(model)
    export("state-dict", tmp_path / "best.safetensors", masks, state)
    saved = load_state(tmp_path / "best.safetensors")
    assert all(torch.equal(saved[name], state[name] * torch.tensor(mask)) for name, mask in masks.items())
    assert load("state-dict", tmp_path / "best.safetensors")[0] == masks
