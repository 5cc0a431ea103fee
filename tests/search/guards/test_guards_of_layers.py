"""Paths through layers of every kind: attention, embeddings, transposed and grouped convolutions, recurrent layers."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.task import Task
from fullspectrum.search.guards.connectivity import Connectivity
from fullspectrum.search.guards.counter import PathCounter
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from ...everylayer import EveryLayer

PIXELS = Task(channels=1, size=2, classes=2)
CONNECTED = Connectivity(0.0, (), ())


def check(model: nn.Module, masks=None, task: Task = PIXELS) -> Connectivity:
    """The connectivity of a model under `masks`, all other layers dense."""
    dense = {name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in prunable(model).items()}
    masks = {name: np.array(mask, dtype=bool) for name, mask in (masks or {}).items()}
    assert masks.keys() <= dense.keys()
    return PathCounter(model, task).check(dense | masks)


def test_every_weight_of_every_kind_of_layer_lies_on_a_path():
    assert check(EveryLayer(), task=Task(1, 8, 10)) == CONNECTED


class Attends(nn.Module):
    """Attention over four tokens of four features, two heads, and a linear layer; no path leads around it."""

    def __init__(self, batch_first=True, batched=True, masked=False, **settings):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first, **settings)
        self.head = nn.Linear(4, 2)
        self.batch_first, self.batched, self.masked = batch_first, batched, masked

    def forward(self, images):
        x = images.flatten(1).unsqueeze(2).expand(-1, -1, 4)
        x = x if self.batch_first else x.transpose(0, 1)
        x = x if self.batched else x.flatten(0, 1)
        mask = torch.ones(4, 4).triu(1).bool() if self.masked else None
        keys = x[..., : self.attention.kdim], x[..., : self.attention.vdim]
        mixed, _ = self.attention(x, *keys, attn_mask=mask)
        return self.head(mixed).flatten(0, -2).mean(0, keepdim=True)


def _on_paths_through_attention(q, k, v, out, head, bias) -> int:
    """Weights of `Attends` on a path, by hand: boolean masks (out, in) of each projection."""
    # What is multiplied with another number matters where that can be other than 0: as its bias is, if it has one.
    q_given, k_given, v_given = (given.any(1) | bias for given in (q, k, v))
    out_read = head.any(0)
    value_read = (out & out_read[:, None]).any(0)
    # Scores are of a whole head: they vary, and matter, where any of its features does.
    scores_vary = _in_heads((q.any(1) & k_given) | (k.any(1) & q_given))
    value_varies = v.any(1) | (scores_vary & v_given)
    scores_matter = _in_heads(v_given & value_read)
    used = [
        q & (k_given & scores_matter)[:, None],
        k & (q_given & scores_matter)[:, None],
        v & value_read[:, None],
        out & out_read[:, None] & value_varies,
        head & (out & value_varies).any(1),
    ]
    return sum(int(mask.sum()) for mask in used)


def _in_heads(features: np.ndarray) -> np.ndarray:
    """Whether any feature is true of the head of each."""
    return np.repeat(features.reshape(2, 2).any(1), 2)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_first": False},
        {"batched": False},
        {"masked": True},
        {"bias": False},
        {"add_zero_attn": True},
        {"kdim": 3, "vdim": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(8))
def test_weights_of_attention_are_effective_where_a_path_by_hand_reads_them(settings, seed):
    model = Attends(**settings)
    generator = np.random.default_rng(seed)
    masks = {name: generator.random(tuple(w.shape)) < 0.35 for name, w in prunable(model).items()}
    named = {name.removeprefix("attention."): mask for name, mask in masks.items()}
    packed = named.get("in_proj_weight")
    projections = np.split(packed, 3) if packed is not None else [named[f"{part}_proj_weight"] for part in "qkv"]
    bias = settings.get("bias", True)
    effective = _on_paths_through_attention(*projections, named["out_proj.weight"], named["head.weight"], bias)
    total = sum(mask.size for mask in masks.values())
    assert check(model, masks).effective_sparsity == 1 - effective / total


def test_values_pass_where_no_query_meets_a_key():
    # A softmax of equal scores attends to all tokens alike.
    packed = np.ones((12, 4))
    packed[:8] = 0
    assert check(Attends(), {"attention.in_proj_weight": packed}) == Connectivity(1 - (16 + 16 + 8) / 72, (), ())


def test_a_learned_key_is_read_by_every_query():
    packed = np.ones((12, 4))
    packed[4:8] = 0
    found = check(Attends(add_bias_kv=True), {"attention.in_proj_weight": packed})
    assert found == Connectivity(1 - (72 - 16) / 72, (), ())


@pytest.mark.parametrize(("bias", "on_paths"), [(False, 6), (True, 8)])
def test_attention_written_out_as_a_softmax_passes_its_values_too(bias, on_paths):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(1, 2, bias) for _ in range(3))
            self.head = nn.Linear(2, 2)

        def forward(self, images):
            x = images.flatten(1).unsqueeze(2)
            scores = self.query(x) @ self.key(x).transpose(1, 2)
            return self.head((functional.softmax(scores, dim=-1) @ self.value(x)).mean(1))

    assert check(Own()) == CONNECTED
    assert check(Own(), {"query.weight": [[1], [0]], "key.weight": [[0], [1]]}).effective_sparsity == 1 - on_paths / 10


class Transformer(nn.Module):
    """Torch's own encoder and decoder, deeper than their scores could grow without being averaged."""

    def __init__(self, layers: int):
        super().__init__()
        settings = {"d_model": 4, "nhead": 2, "dim_feedforward": 3, "batch_first": True}
        self.embed = nn.Linear(1, 4)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(**settings), layers)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(**settings), layers)
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        x = self.embed(images.flatten(1).unsqueeze(2))
        return self.head(self.decoder(x, self.encoder(x)).mean(1))


@pytest.mark.parametrize("layers", [1, 24])
def test_every_weight_of_a_transformer_lies_on_a_path_however_deep_it_is(layers):
    assert check(Transformer(layers), task=Task(1, 8, 2)) == CONNECTED


class Embeds(nn.Module):
    """Four pixels of two features, with something embedded beside them."""

    def __init__(self, rows, ids, bag=False):
        super().__init__()
        self.table = (nn.EmbeddingBag if bag else nn.Embedding)(rows, 2)
        self.head, self.ids, self.bag = nn.Linear(8, 2), ids, bag

    def forward(self, images):
        found = self.table(self.ids(images))
        return self.head((found.repeat(1, 4) if self.bag else found.flatten(-2)).expand(len(images), -1))


def test_the_rows_of_positions_are_on_a_path_where_they_are_looked_up():
    model = Embeds(6, lambda images: torch.arange(4))
    assert check(model) == Connectivity(1 - (8 + 16) / 28, (), ())
    # Position 1 and feature 0 of position 3 are removed, with the weights of the head that read them.
    rows = np.ones((6, 2))
    rows[1], rows[3, 0] = 0, 0
    assert check(model, {"table.weight": rows}).effective_sparsity == 1 - (5 + 10) / 28


def tokens(images):
    grey = images.flatten(1).add(1).div(2).long()
    return torch.cat([grey[:, :2], grey[:, 2:].clamp(0, 9)], dim=1)


def brightest(images):
    return images.flatten(1).topk(4).indices


@pytest.mark.parametrize("ids", [tokens, brightest])
@pytest.mark.parametrize("bag", [False, True])
def test_rows_that_the_image_chooses_may_be_any(ids, bag):
    rows = np.zeros((10, 2))
    rows[7] = 1
    model = Embeds(10, ids, bag)
    assert check(model) == CONNECTED
    assert check(model, {"table.weight": rows}) == Connectivity(1 - (2 + 16) / 36, (), ())


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_is_cut_by_the_channels_that_it_reads(groups):
    layers = {
        "conv": nn.Conv2d(1, 2, 1),
        "up": nn.ConvTranspose2d(2, 2, 2, stride=2, groups=groups),
        "flat": nn.Flatten(),
        "fc": nn.Linear(32, 2),
    }
    model = nn.Sequential(OrderedDict(layers))
    assert check(model) == CONNECTED
    # Without input channel 0, half of the kernels are dead; of two groups so is the first output channel.
    found = check(model, {"conv.weight": [[[[0]]], [[[1]]]]})
    fc = 64 // groups
    total = 2 + 16 // groups + 64
    assert found == Connectivity(1 - (1 + 8 // groups + fc) / total, (), ())


class Recurrent(nn.Module):
    """A recurrent layer over four pixels, behind one linear layer and before another."""

    def __init__(self, kind: type, **settings):
        super().__init__()
        self.embed, self.recurrent = nn.Linear(1, 3), kind(3, 4, **settings)
        self.head = nn.Linear(8 if settings.get("bidirectional") else 4, 2)

    def forward(self, images):
        x = torch.relu(self.embed(100 * images.flatten(1).unsqueeze(2)))
        if isinstance(self.recurrent, nn.RNNCellBase):
            state = None
            for step in x.unbind(1):
                state = self.recurrent(step, state)
            return self.head(state[0] if isinstance(state, tuple) else state)
        steps, state = self.recurrent(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.head(steps.mean(1)) + state.mean()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_recurrent_layers_pass_what_they_are_given(kind):
    assert check(Recurrent(kind)) == CONNECTED
    assert check(Recurrent(kind), {"embed.weight": [[0], [1], [0]]}).effective_sparsity == 1 - 9 / 11


@pytest.mark.parametrize("settings", [{"bidirectional": True}, {"batch_first": True, "num_layers": 3}])
def test_recurrent_layers_of_several_directions_and_depths_pass_what_they_are_given(settings):
    assert check(Recurrent(nn.LSTM, **settings)) == CONNECTED


@pytest.mark.parametrize("computed", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_layer_that_computes_its_weight_connects_whatever_its_weights_are(computed):
    for seed in range(4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), computed(nn.Linear(3, 3)), nn.Linear(3, 2))
        assert check(model) == CONNECTED


class CosineAttention(nn.Module):
    """Attention whose scores are cosines of queries and keys, as in Swin Transformer V2."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(1, 4, bias=False) for _ in range(3))
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        x = images.flatten(1).unsqueeze(2)
        query, key = (functional.normalize(part(x), dim=-1) for part in (self.query, self.key))
        return self.head(((query @ key.transpose(1, 2)).softmax(-1) @ self.value(x)).mean(1))


def test_every_weight_of_attention_by_cosines_lies_on_a_path():
    assert check(CosineAttention()) == CONNECTED
    assert check(CosineAttention(), {"key.weight": [[0]] * 4}).effective_sparsity == 1 - 12 / 20
