import os

import pytest
import torch
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats import FORMATS, Format, export, load
from fullspectrum.models.formats.fullspectrum import Fullspectrum
from fullspectrum.models.formats.torch_prune import TorchPrune
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import DEFAULT_TASKS, build, initial_state
from fullspectrum.models.testing import FormatContract
from fullspectrum.models.weights import init_digest, load_state, save_state
from torch import nn
from torch.nn.utils import prune


class TestFullspectrum(FormatContract):
    @pytest.fixture
    def format(self) -> Format:
        return Fullspectrum()


class TestTorchPrune(FormatContract):
    @pytest.fixture
    def format(self) -> Format:
        return TorchPrune()


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
    assert export("torch-prune", tmp_path / "best.pt", masks, initial_state(model)) == [tmp_path / "best.pt"]
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
    assert written == [tmp_path / "best.safetensors", tmp_path / "best.init.safetensors"]
    loaded = MaskSet.load(written[0])
    assert loaded == masks and loaded.metadata["init_digest"] == init_digest(load_state(written[1])) == init_digest(
        state
    )


def test_the_weights_file_keeps_dots_of_another_name(tmp_path, model, masks):
    written = export("fullspectrum", tmp_path / "run.v2", masks, initial_state(model))
    assert [path.name for path in written] == ["run.v2", "run.v2.init.safetensors"]


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
    assert loaded == masks and init_digest(weights) == init_digest(state)


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
    _, weights = export("fullspectrum", tmp_path / "best.safetensors", masks, initial_state(model))
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
