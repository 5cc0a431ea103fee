"""Networks that a user may name: a function each, which the command line calls with channels, size and classes.

Each is small and odd in one way. Whether it can be pruned and trained is not said here: it is used, or it is refused.
"""

import copy
import functools
import random
import threading
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

CALLS = 0


class Small(nn.Module):
    """A convolution, a hidden layer and a head; `features` and `end` are what the others change."""

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.hidden = nn.Linear(6, 8)
        self.head = nn.Linear(8, classes)

    def features(self, x):
        return functional.relu(self.norm(self.conv(x))).mean((2, 3))

    def end(self, x):
        return self.head(functional.relu(self.hidden(x)))

    def forward(self, x):
        return self.end(self.features(x))


def plain(channels, size, classes):
    return Small(channels, size, classes)


def _with_forward(forward):
    """Return a network function whose forward pass is `forward(network, images)`."""

    def make(channels, size, classes):
        class Changed(Small):
            def forward(self, x):
                return forward(self, x)

        return Changed(channels, size, classes)

    return make


def _changed(change):
    """Return a network function that changes a small network, in place or by returning another."""

    def make(channels, size, classes):
        network = Small(channels, size, classes)
        return change(network) or network

    return make


# What the forward pass returns.
returns_a_tuple = _with_forward(lambda net, x: (Small.forward(net, x), x))
returns_a_dictionary = _with_forward(lambda net, x: {"logits": Small.forward(net, x)})
returns_none = _with_forward(lambda net, x: None)
returns_a_scalar = _with_forward(lambda net, x: Small.forward(net, x).sum())
returns_too_many_logits = _with_forward(lambda net, x: torch.cat([Small.forward(net, x)] * 2, 1))
returns_maps = _with_forward(lambda net, x: Small.forward(net, x)[:, :, None, None])
returns_probabilities = _with_forward(lambda net, x: Small.forward(net, x).softmax(1))
returns_integers = _with_forward(lambda net, x: Small.forward(net, x).argmax(1))
returns_complex = _with_forward(lambda net, x: torch.complex(Small.forward(net, x), Small.forward(net, x)))
returns_doubles = _with_forward(lambda net, x: Small.forward(net, x).double())
returns_halves = _with_forward(lambda net, x: Small.forward(net, x).half())
returns_detached = _with_forward(lambda net, x: Small.forward(net, x).detach())
returns_numpy = _with_forward(lambda net, x: Small.forward(net, x).detach().numpy())
returns_a_constant = _with_forward(lambda net, x: torch.zeros(len(x), net.head.out_features))
returns_its_input = _with_forward(lambda net, x: x)
ignores_the_image = _with_forward(lambda net, x: Small.forward(net, torch.ones_like(x)))
squeezes = _with_forward(lambda net, x: Small.forward(net, x).squeeze())
returns_nan_in_training = _with_forward(lambda net, x: Small.forward(net, x) * (float("nan") if net.training else 1))
returns_nan_in_evaluation = _with_forward(lambda net, x: Small.forward(net, x) * (1 if net.training else float("nan")))


# What the forward pass does.
def _in_training_alone(net, x):
    if net.training:
        raise RuntimeError("there is no training\nwith me")
    return Small.forward(net, x)


def _in_evaluation_alone(net, x):
    if not net.training:
        raise KeyError("evaluation")
    return Small.forward(net, x)


def _of_one_image(net, x):
    if len(x) == 1:
        raise ValueError("one image")
    return Small.forward(net, x)


def _by_numpy(net, x):
    scale = np.sqrt(np.abs(x.detach().numpy()).mean() + 1)
    return Small.forward(net, x) * float(scale)


def _by_value(net, x):
    return Small.forward(net, x if x.mean() > 0 else -x)


def _counting(net, x):
    global CALLS
    CALLS += 1
    return Small.forward(net, x) * (1 + 0.001 * CALLS)


def _random(net, x):
    return Small.forward(net, x + 0.1 * torch.randn_like(x)) * random.random() * np.random.rand()


def _changing_weights(net, x):
    with torch.no_grad():
        net.hidden.weight.mul_(0.999)
    return Small.forward(net, x)


def _noisy(net, x):
    print("forward")
    warnings.warn("a network warns", stacklevel=1)
    return Small.forward(net, x)


def _inner_gradients(net, x):
    with torch.enable_grad():
        inner = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(net.features(inner).square().sum(), inner)
    return Small.forward(net, x) + slope.mean()


def _exits(net, x):
    raise SystemExit("the network leaves")


fails_in_training = _with_forward(_in_training_alone)
fails_in_evaluation = _with_forward(_in_evaluation_alone)
fails_for_one_image = _with_forward(_of_one_image)
computes_with_numpy = _with_forward(_by_numpy)
depends_on_values = _with_forward(_by_value)
keeps_a_global_count = _with_forward(_counting)
draws_at_random = _with_forward(_random)
changes_its_weights = _with_forward(_changing_weights)
prints_and_warns = _with_forward(_noisy)
differentiates_within = _with_forward(_inner_gradients)
exits_in_forward = _with_forward(_exits)


def _spoiling(net, x):
    features = net.features(x).sigmoid()
    logits = net.end(features)
    features.mul_(2)
    return logits


spoils_its_gradient = _with_forward(_spoiling)
works_in_place = _with_forward(lambda net, x: net.end(functional.relu_(net.features(x.mul_(1.0)))))
works_without_gradients = _with_forward(lambda net, x: torch.no_grad()(lambda: Small.forward(net, x))())
drops_always = _with_forward(lambda net, x: net.end(functional.dropout(net.features(x), 0.5, training=True)))
sleeps = _with_forward(lambda net, x: time.sleep(0.002) or Small.forward(net, x))
raises_without_words = _with_forward(lambda net, x: (_ for _ in ()).throw(ArithmeticError))
asserts_a_size = _with_forward(lambda net, x: Small.forward(net, functional.pad(x, (0, 3, 0, 3)).view(-1, 7, 9)))
goes_to_and_fro = _with_forward(lambda net, x: Small.forward(net, x.half().float()).bfloat16().float())
works_in_complex = _with_forward(
    lambda net, x: net.end(torch.fft.rfft2(net.features(x)).abs()[:, :4].repeat(1, 2)[:, :6])
)


# What it holds.
def _huge(net):
    nn.init.constant_(net.hidden.weight, 3e38)


def _nan(net):
    nn.init.constant_(net.hidden.weight, float("nan"))


def _infinite_bias(net):
    nn.init.constant_(net.hidden.bias, float("inf"))


def _zero_head(net):
    nn.init.zeros_(net.head.weight)


def _all_zero(net):
    for weight in net.parameters():
        nn.init.zeros_(weight)


def _tied(net):
    net.hidden = nn.Linear(6, 6)
    net.again = nn.Linear(6, 6)
    net.again.weight = net.hidden.weight
    net.head = nn.Linear(6, net.head.out_features)
    net.features = functools.partial(_tied_features, net)


def _tied_features(net, x):
    return net.again(Small.features(net, x))


def _partly_frozen(net):
    net.conv.requires_grad_(False)


def _frozen_layers(net):
    for module in (net.conv, net.hidden, net.head):
        module.requires_grad_(False)


def _odd_names(net):
    net.parts = nn.ModuleDict({"größe [bold]": nn.Linear(2, 2), "a/b c": nn.Linear(2, 2), "€\n2": nn.ModuleDict()})


def _holding(**things):
    def change(net):
        for name, thing in things.items():
            setattr(net, name, thing() if callable(thing) else thing)

    return change


def _weight(value):
    return lambda: nn.Parameter(value, requires_grad=value.is_floating_point())


def _hooked(net):
    net.hidden.register_forward_hook(lambda module, given, result: result * 2)
    net.conv.register_full_backward_hook(lambda module, inputs, outputs: None)
    net.norm.register_forward_pre_hook(lambda module, given: (given[0] + 0,))


def _replaced_forward(net):
    inner = net.forward
    net.forward = lambda x: inner(x) * 2


def _parametrised(name, **arguments):
    def change(net):
        getattr(torch.nn.utils.parametrizations, name)(net.hidden, **arguments)

    return change


def _extra_state(net):
    class Part(nn.Module):
        def get_extra_state(self):
            return {"version": object()}

        def set_extra_state(self, state):
            pass

    net.part = Part()


def _recurrent(net):
    net.hidden = _Last(nn.GRU(6, 8, batch_first=True))


class _Last(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x[:, None])[0][:, -1]


class _RaisingProperty(Small):
    @property
    def width(self):
        raise RuntimeError("nobody may ask")


class _AnyAttribute(Small):
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return 0


class _Itself(Small):
    def __deepcopy__(self, memo):
        return self


class _NoCopies(Small):
    def __deepcopy__(self, memo):
        raise NotImplementedError("no copies")


class _StrictState(Small):
    def load_state_dict(self, *arguments, **options):
        raise RuntimeError("this network loads nothing")


class _NoState(Small):
    def state_dict(self, *arguments, **options):
        return {}


class _NoModes(Small):
    def train(self, mode=True):
        raise RuntimeError("one mode alone")


class _TrainingOfNothing(Small):
    def train(self, mode=True):
        return None


huge_weights = _changed(_huge)
nan_weights = _changed(_nan)
infinite_bias = _changed(_infinite_bias)
zero_head = _changed(_zero_head)
all_zero = _changed(_all_zero)
tied = _changed(_tied)
partly_frozen = _changed(_partly_frozen)
frozen_layers = _changed(_frozen_layers)
frozen = _changed(lambda net: net.requires_grad_(False))
odd_names = _changed(_odd_names)
extra_state = _changed(_extra_state)
recurrent = _changed(_recurrent)
hooked = _changed(_hooked)
replaced_forward = _changed(_replaced_forward)
weight_norm = _changed(_parametrised("weight_norm"))
spectral_norm = _changed(_parametrised("spectral_norm"))
orthogonal = _changed(_parametrised("orthogonal"))
pruned = _changed(lambda net: prune.random_unstructured(net.hidden, "weight", 0.5) and None)
bfloat16 = _changed(lambda net: net.bfloat16())
float16 = _changed(lambda net: net.half())
float64 = _changed(lambda net: net.double())
partly_bfloat16 = _changed(lambda net: net.hidden.bfloat16() and None)
on_meta = _changed(lambda net: net.to("meta"))
scripted = _changed(torch.jit.script)
partly_compiled = _changed(_holding(spare=lambda: torch.compile(nn.Linear(2, 2), backend="eager")))
integer_buffers = _changed(lambda net: net.register_buffer("steps", torch.tensor([1, 2], dtype=torch.uint8)))
boolean_buffer = _changed(lambda net: net.register_buffer("flags", torch.tensor([True, False])))
complex_parameter = _changed(_holding(phase=_weight(torch.ones(2, 2, dtype=torch.complex64))))
complex_layer = _changed(_holding(waves=lambda: nn.Linear(3, 3, dtype=torch.complex64)))
integer_parameter = _changed(_holding(counts=_weight(torch.ones(2, 2, dtype=torch.int64))))
empty_parameter = _changed(_holding(nothing=_weight(torch.ones(0, 4))))
empty_layer = _changed(_holding(nothing=lambda: nn.Linear(0, 4)))
scalar_parameter = _changed(_holding(scale=_weight(torch.tensor(1.0))))
sparse_parameter = _changed(_holding(few=lambda: nn.Parameter(torch.eye(3).to_sparse())))
parameter_list = _changed(_holding(some=lambda: nn.ParameterList([torch.ones(2, 2), torch.ones(3)])))
unused_layer = _changed(_holding(spare=lambda: nn.Linear(5, 5)))
lazy_layer = _changed(_holding(hidden=lambda: nn.LazyLinear(8)))
holds_a_lock = _changed(_holding(lock=threading.Lock))
holds_a_generator = _changed(_holding(numbers=lambda: (number for number in range(3))))
holds_a_graph = _changed(lambda net: setattr(net, "memory", net.hidden.weight * 2))
holds_itself = _changed(lambda net: object.__setattr__(net, "own", [net]) or None)
holds_a_lambda = _changed(_holding(activation=lambda: lambda x: x))
an_optimizer = _changed(lambda net: setattr(net, "optimizer", torch.optim.SGD(net.parameters(), lr=0.1)))
data_parallel = _changed(nn.DataParallel)
in_evaluation = _changed(lambda net: net.eval())


raising_property = _RaisingProperty
any_attribute = _AnyAttribute
copied_as_itself = _Itself
not_copied = _NoCopies
loads_nothing = _StrictState
without_state = _NoState
without_modes = _NoModes
training_returns_none = _TrainingOfNothing


# What the function is and returns.
def nothing_at_all(channels, size, classes):
    return nn.Identity()


def without_layers(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Identity())


def only_norms(channels, size, classes):
    return nn.Sequential(nn.BatchNorm2d(channels), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def one_layer(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))


def no_bias_one_wide(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 1), nn.Linear(1, classes, bias=False))


def batch_norm_of_vectors(channels, size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, 8), nn.BatchNorm1d(8), nn.Linear(8, classes))


def the_same_twice(channels, size, classes):
    square = nn.Linear(8, 8)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(channels * size * size, 8), square, nn.ReLU(), square, nn.Linear(8, classes)
    )


def embeds_the_pixels(channels, size, classes):
    class Embedded(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(16, 4, padding_idx=0, max_norm=1.0)
            self.head = nn.Linear(4, classes)

        def forward(self, x):
            return self.head(self.table(x.mul(4).long().clamp(0, 15)).mean((1, 2, 3)))

    return Embedded()


def a_class(channels, size, classes):
    return Small


def a_list(channels, size, classes):
    return nn.ModuleList([Small(channels, size, classes)])


def a_function(channels, size, classes):
    return torch.relu


def a_generator(channels, size, classes):
    yield Small(channels, size, classes)


def a_pair(channels, size, classes):
    return Small(channels, size, classes), "name"


def other_arguments(width, depth):
    return Small(width, depth, 2)


def any_arguments(*arguments, **options):
    return Small(**options)


def wrong_size(channels, size, classes):
    return Small(channels + 1, size, classes)


def raises(channels, size, classes):
    raise ZeroDivisionError("no network\nhas two lines.")


def exits(channels, size, classes):
    raise SystemExit(3)


async def awaits(channels, size, classes):
    return Small(channels, size, classes)


def changes_defaults(channels, size, classes):
    torch.manual_seed(int(time.time()))
    return Small(channels, size, classes)


def without_init(channels, size, classes):
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    return Forgetful()


def without_forward(channels, size, classes):
    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

    return Silent()


def needs_two_images(channels, size, classes):
    class Paired(Small):
        def forward(self, left, right):
            return super().forward(left + right)

    return Paired(channels, size, classes)


def deep(channels, size, classes):
    layers = [nn.Linear(4, 4) for _ in range(40)]
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, 4), *layers, nn.Linear(4, classes)
    )


def copied_layers(channels, size, classes):
    network = Small(channels, size, classes)
    network.copy = copy.deepcopy(network.hidden)
    return network


NOT_CALLABLE = Small(1, 12, 2).hidden.weight
