"""The paths of networks that compute by hand, against a numerical count."""

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from fullspectrum.models.layers import prunable
from fullspectrum.models.task import Task
from fullspectrum.search.guards.connectivity import Limits
from fullspectrum.search.guards.counter import PathCounter
from fullspectrum.search.paths.dependence import Dependence
from fullspectrum.search.paths.operation import unknown
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import flex_attention

from ...counting import counted

TASK = Task(channels=2, size=6, classes=3)


class By(nn.Module):
    """A function of a tensor."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def conv(size: int = 1, inputs: int = 4, outputs: int = 4, **settings) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **settings)


class Normalised(nn.Module):
    """Layer normalisation over the channels, written by hand."""

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        return x / (x.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()


class RunningNorm(nn.Module):
    """Batch normalisation in evaluation mode, written by hand."""

    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(4, 1, 1)), nn.Parameter(torch.zeros(4, 1, 1))
        self.register_buffer("mean", torch.zeros(4, 1, 1))
        self.register_buffer("variance", torch.ones(4, 1, 1))

    def forward(self, x):
        return (x - self.mean) * torch.rsqrt(self.variance + 1e-5) * self.scale + self.shift


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.transform, self.gate = conv(), conv()

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.transform(x)) + (1 - gate) * x


class Squeeze(nn.Module):
    """Squeeze and excite."""

    def __init__(self):
        super().__init__()
        self.down, self.up = conv(1, 4, 2), conv(1, 2, 4)

    def forward(self, x):
        return x * F.hardsigmoid(self.up(F.silu(self.down(x.mean((2, 3), keepdim=True)))))


class Modulated(nn.Module):
    """Features times numbers that are computed from the image, which may be 0 at all images."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Linear(4, 4, bias=False)

    def forward(self, x):
        return x * self.scale(x.mean((2, 3)))[:, :, None, None]


class Attention(nn.Module):
    """Attention of one head over positions, without biases: of those a softmax would leave some out."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (conv(bias=False) for _ in range(3))

    def forward(self, x):
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        return (value @ torch.softmax(query.transpose(1, 2) @ key / 2, dim=-2)).unflatten(2, x.shape[2:])


class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = conv(3), conv()

    def forward(self, x):
        return self.one(x) - self.other(x)


class Dense(nn.Module):
    """Concatenation, and a layer that reads it."""

    def __init__(self):
        super().__init__()
        self.grow, self.read = conv(3, 4, 2), conv(1, 6, 4)

    def forward(self, x):
        return self.read(torch.cat([x, F.relu(self.grow(x))], dim=1))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch, self.scale = conv(3, groups=2), nn.Parameter(torch.zeros(4, 1, 1))

    def forward(self, x):
        return x + self.scale * self.branch(F.gelu(x))


class Assigned(nn.Module):
    """Assignment to a part of a tensor, in place."""

    def forward(self, x):
        y = x.clone()
        y[:, :2] = -x[:, 2:]
        y[:, 2:].mul_(2)
        return y


def glu(x):
    one, other = torch.cat([x, x.flip(1)], dim=1).chunk(2, dim=1)
    return one * torch.sigmoid(other)


def shift(x):
    return torch.cat([torch.roll(x[:, :2], 1, 2), F.pad(x[:, 2:, 1:], (0, 0, 0, 1))], dim=1)


def to_depth(x):
    return F.pixel_shuffle(F.pixel_unshuffle(F.avg_pool2d(F.interpolate(x, scale_factor=2), 2), 2), 2)


def mix(x):
    return torch.einsum("nchw,nchw->nch", x, x)[..., None] + x


OPERATIONS = {
    "minus": lambda: By(lambda x: F.relu(-x)),
    "gelu": nn.GELU,
    "clamp": lambda: By(lambda x: x.clamp(-1, 1)),
    "absolute": lambda: By(lambda x: torch.abs(x - 0.5)),
    "leaky": lambda: nn.LeakyReLU(inplace=True),
    "exponential": lambda: By(lambda x: torch.exp(-x.pow(2))),
    "layer norm": lambda: By(lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2)),
    "layer norm by hand": Normalised,
    "group norm": lambda: nn.GroupNorm(2, 4),
    "rms norm by hand": lambda: By(lambda x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)),
    "unit length": lambda: By(lambda x: F.normalize(x, dim=1)),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "batch norm by hand": RunningNorm,
    "highway": Highway,
    "squeeze": Squeeze,
    "modulated": Modulated,
    "glu": lambda: By(glu),
    "attention": Attention,
    "difference": Difference,
    "concatenation": Dense,
    "residual": Residual,
    "assignment": Assigned,
    "shift": lambda: By(shift),
    "pixel shuffle": lambda: By(to_depth),
    "product": lambda: By(mix),
    "max pool": lambda: nn.MaxPool2d(3, 1, 1),
    "dilated max pool": lambda: nn.MaxPool2d(2, 1, 1, dilation=2),
    "softmax": lambda: nn.Softmax(1),
    "shifted": lambda: By(lambda x: F.relu((x - 1.5) / 0.3)),
    "softmin over positions": lambda: By(lambda x: x * torch.softmax(-x.flatten(2), -1).unflatten(2, x.shape[2:])),
}

HEADS = {
    "linear": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
    "maximum": lambda: nn.Sequential(By(lambda x: x.amax((2, 3))), nn.Linear(4, 3)),
    "spread": lambda: nn.Sequential(By(lambda x: torch.cat([x.mean((2, 3)), x.var((2, 3))], 1)), nn.Linear(8, 3)),
    "distance": lambda: Distance(),
}


class Distance(nn.Module):
    """The distance to one prototype of each class."""

    def __init__(self):
        super().__init__()
        self.reduce, self.prototypes = nn.Linear(4, 2), nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        return -(self.reduce(x.mean((2, 3)))[:, None] - self.prototypes).pow(2).sum(-1)


def network(*names: str, head: str = "linear") -> nn.Module:
    parts = [nn.Conv2d(TASK.channels, 4, 3)]
    for name in names:
        parts += [OPERATIONS[name](), conv(1)]
    return nn.Sequential(*parts, HEADS[head]())


def masks_of(model: nn.Module, sparsity: float, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.random(tuple(weight.shape)) >= sparsity for name, weight in prunable(model).items()}


def assert_counted_alike(model: nn.Module, sparsity: float, seed: int) -> None:
    masks = masks_of(model, sparsity, seed)
    counter = PathCounter(model, TASK)
    assert counter.estimated is None
    found, expected = counter.paths(masks).used, counted(model, masks, TASK)
    different = {name: int((found[name] != expected[name]).sum()) for name in masks}
    assert not any(different.values()), different


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_passes_on_what_its_derivative_passes_on(name):
    for seed, sparsity in enumerate((0.5, 0.7)):
        assert_counted_alike(network(name), sparsity, seed)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_reads_what_its_derivative_reads(head):
    for seed, sparsity in enumerate((0.3, 0.6)):
        assert_counted_alike(network("minus", head=head), sparsity, seed)


@pytest.mark.parametrize("seed", range(16))
def test_random_networks_are_counted_as_their_derivatives_are(seed):
    generator = np.random.default_rng(seed)
    names = generator.choice(list(OPERATIONS), 3, replace=False)
    head = generator.choice(list(HEADS))
    assert_counted_alike(network(*names, head=head), float(generator.uniform(0.3, 0.7)), seed)


class Decides(nn.Module):
    """Its way depends on the image, which no trace follows."""

    def __init__(self):
        super().__init__()
        self.conv, self.one, self.other = nn.Conv2d(2, 4, 3), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.conv(x)).mean((2, 3))
        return self.one(x) if x.mean() > 0.5 else self.other(x)


def test_where_the_way_depends_on_the_image_derivatives_count():
    model = Decides()
    counter = PathCounter(model, TASK)
    assert counter.estimated == "it asks for the values of a tensor"
    masks = masks_of(model, 0.5, 0)
    # Channel 0 is read by nobody.
    for name in ("one.weight", "other.weight"):
        masks[name][:, 0], masks[name][:, 1:] = False, True
    used = counter.paths(masks).used
    assert not used["conv.weight"][0].any()
    assert np.array_equal(used["conv.weight"][1:], masks["conv.weight"][1:])
    # Which of the two heads is taken depends on the draw; neither is said to be on a path without having been taken.
    assert used["one.weight"].any() or used["other.weight"].any()
    found = counter.check(masks)
    assert found.estimated and found.fault is None


def test_an_estimate_refuses_a_collapsed_layer_alone():
    model = Decides()
    counter = PathCounter(model, TASK, Limits(dead_channels=0.0))
    apart = {name: np.zeros(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    apart["conv.weight"][0], apart["one.weight"][:, 1], apart["other.weight"][:, 1] = True, True, True
    assert counter.check(apart).fault is None
    fault = counter.check(apart | {"one.weight": np.zeros((3, 4), dtype=bool)}).fault
    assert fault == "collapsed: nothing is kept of one.weight"


def test_where_nothing_can_be_derived_every_kept_weight_counts():
    class Elsewhere(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(72, 3)

        def forward(self, x):
            return torch.from_numpy(self.fc(x.flatten(1)).detach().numpy())

    model = Elsewhere()
    masks = masks_of(model, 0.5, 0)
    counter = PathCounter(model, TASK)
    assert counter.estimated == "RuntimeError: .numpy() is not supported for tensor subclasses"
    assert np.array_equal(counter.paths(masks).used["fc.weight"], masks["fc.weight"])


def test_an_operation_that_nobody_knows_passes_everything_on():
    class Own(nn.Module):
        def forward(self, x):
            return torch.linalg.matrix_exp(x)

    model = nn.Sequential(nn.Conv2d(2, 4, 1), Own(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    masks = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    masks["0.weight"][1:], masks["4.weight"][:, :3] = False, False
    used = PathCounter(model, TASK).paths(masks).used
    assert all(np.array_equal(used[name], masks[name]) for name in masks)


def spectrum(x):
    return torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape[2:])


def transformed(x):
    return torch.vmap(torch.sin)(torch.utils.checkpoint.checkpoint(torch.neg, x, use_reentrant=False))


def written(x):
    """A large negative number is written over some elements."""
    return x.scatter(1, torch.zeros(len(x), 1, 4, 4, dtype=torch.long), -9.0)


def taken_away(x):
    return x.index_add(1, torch.arange(4), x.flip(1), alpha=-1)


def permuted(x):
    """Features in the place of an embedding's table."""
    return torch.stack([F.embedding(torch.tensor([1, 0, 3, 2]), each.flatten(1)) for each in x]).view(x.shape)


def transposed(x):
    return torch.stack([each.contiguous().as_strided((4, 4, 4), (1, 16, 4)) for each in x])


def conjugated(x):
    return torch.fft.fft2(x).conj().imag


def in_another_type(x):
    return (x - x.mean((1, 2, 3), keepdim=True, dtype=torch.float64)).to(x.dtype)


def in_half(x):
    return x - x.cumsum(2, dtype=torch.bfloat16).to(x.dtype)


@pytest.mark.parametrize(
    "function",
    [
        spectrum,
        transformed,
        written,
        taken_away,
        permuted,
        transposed,
        conjugated,
        in_another_type,
        in_half,
    ],
)
def test_nothing_is_missed_in_operations_of_odd_kinds(function):
    model = nn.Sequential(nn.Conv2d(2, 4, 3), By(function), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    masks = masks_of(model, 0.3, 0)
    counter = PathCounter(model, TASK)
    assert counter.estimated is None
    found, expected = counter.paths(masks).used, counted(model, masks, TASK)
    assert all((found[name] >= expected[name]).all() for name in masks)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_attention_with_graphs_among_its_arguments_passes_everything_on():
    # It has no derivative on the CPU to compare with.
    def flexible(x):
        tokens = x.flatten(2).transpose(1, 2)[:, None].contiguous()
        return flex_attention.flex_attention(tokens, tokens, tokens).mean((1, 2))

    model = nn.Sequential(nn.Conv2d(2, 4, 3), By(flexible), nn.Linear(4, 3))
    masks = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    counter = PathCounter(model, TASK)
    assert counter.estimated is None
    assert counter.check(masks).effective_sparsity == 0


class Generated(nn.Module):
    """The filters of its only convolution are made from a learned code by a linear layer."""

    def __init__(self, bias: bool):
        super().__init__()
        self.code, self.generator, self.head = nn.Parameter(torch.randn(8)), nn.Linear(8, 72, bias), nn.Linear(4, 3)

    def forward(self, x):
        filters = torch.tanh(self.generator(self.code)).view(4, 2, 3, 3)
        return self.head(F.relu(F.conv2d(x, filters)).mean((2, 3)))


class Prototypes(nn.Module):
    """The image is compared with a table of fixed numbers that a layer encodes."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 72))
        self.register_buffer("table", torch.randn(3, 5))

    def forward(self, x):
        return x.flatten(1) @ self.encoder(self.table).T


class Summed(nn.Module):
    """A weight in an operation that hardly anybody uses."""

    def __init__(self):
        super().__init__()
        self.hidden, self.last = nn.Linear(72, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.hidden(x.flatten(1)))
        return torch.addbmm(self.last.bias, x[None], self.last.weight.T[None])


@pytest.mark.parametrize("make", [lambda: Generated(True), lambda: Generated(False), Prototypes, Summed])
def test_weights_count_that_are_applied_to_what_no_image_changes(make):
    model = make()
    masks = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    found = PathCounter(model, TASK).check(masks)
    assert (found.estimated, found.effective_sparsity, found.cut) == (False, 0.0, ())


def test_an_unknown_operation_passes_the_weights_on_too():
    weight = torch.ones(3, requires_grad=True)
    (found,) = unknown([Dependence((2,), torch.ones(2)), Dependence((3,), None, weight)], [(4,)])
    (gradient,) = torch.autograd.grad(found.varies.sum(), weight)
    assert (gradient > 0).all()


class Whitened(nn.Module):
    """Multiplication with a matrix that training changes: at first it is that of ones on the diagonal."""

    def __init__(self):
        super().__init__()
        self.register_buffer("matrix", torch.eye(4))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        if self.training:
            self.seen += 1
            self.matrix.mul_(0.9).add_(0.1)
        mixed = torch.einsum("ij,njhw->nihw", self.matrix, x)
        return torch.where(self.seen > 0, mixed, x)


def test_a_buffer_that_training_changes_is_no_fixed_number():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), Whitened(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    masks = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    # The matrix alone leads from channel 0 to channel 1.
    masks["0.weight"][1:], masks["4.weight"][:, [0, 2, 3]] = False, False
    used = PathCounter(model, TASK).paths(masks).used
    assert all(np.array_equal(used[name], masks[name]) for name in masks)
    assert torch.equal(model[1].matrix, torch.eye(4)) and not model[1].seen


def test_marks_for_a_profiler_are_passed_over():
    def marked(x):
        with torch.profiler.record_function("part"):
            return -x

    assert_counted_alike(nn.Sequential(nn.Conv2d(2, 4, 3), By(marked), *HEADS["linear"]()), 0.5, 0)


def test_a_compiled_network_is_traced_as_it_is_written():
    model = network("minus")
    masks = masks_of(model, 0.5, 0)
    compiled = torch.compile(model)
    counter = PathCounter(compiled, TASK)
    assert counter.estimated is None
    used = counter.paths({f"_orig_mod.{name}": mask for name, mask in masks.items()}).used
    expected = PathCounter(model, TASK).paths(masks).used
    assert all(np.array_equal(used[f"_orig_mod.{name}"], expected[name]) for name in masks)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("within", [False, True])
def test_a_network_of_any_precision_is_traced(dtype, within):
    model = network("layer norm by hand").to(dtype)
    masks = masks_of(model, 0.5, 0)
    whole = nn.Sequential(By(lambda x: x.to(dtype)), *model) if within else model
    names = dict(zip(prunable(whole), masks, strict=True))
    counter = PathCounter(whole, TASK)
    assert counter.estimated is None
    used = counter.paths({name: masks[own] for name, own in names.items()}).used
    expected = PathCounter(network("layer norm by hand"), TASK).paths(masks).used
    assert all(np.array_equal(used[name], expected[own]) for name, own in names.items())
