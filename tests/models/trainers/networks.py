"""A network with what masks are hard to hold on, and its masks."""

import numpy as np
import torch
from fullspectrum.models.layers import prunable
from fullspectrum.models.masks import MaskSet
from torch import nn


class Hard(nn.Module):
    """A grouped convolution, packed attention, and an embedding whose weights are those of the last layer, too."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.convolution = nn.Conv1d(8, 8, 3, padding=1, groups=4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        x = x + self.convolution(x.transpose(1, 2)).transpose(1, 2)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x)


def hard() -> tuple[Hard, MaskSet]:
    """Return the network and random masks that remove about 70 % of its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Hard()
    generator = np.random.default_rng(0)
    masks = {name: generator.random(tuple(weight.shape)) >= 0.7 for name, weight in prunable(network).items()}
    assert set(masks) == {
        "embedding.weight",
        "convolution.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    }
    return network, MaskSet(masks)


def batch(seed: int = 0) -> torch.Tensor:
    """Return sequences of tokens (16, 5)."""
    return torch.randint(12, (16, 5), generator=torch.Generator().manual_seed(seed))


def loss(network: nn.Module, tokens: torch.Tensor) -> torch.Tensor:
    """Return the loss of naming each token's successor."""
    return nn.functional.cross_entropy(network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def removed(network: nn.Module, masks: MaskSet) -> torch.Tensor:
    """Return all removed weights as they are."""
    weights = dict(network.named_parameters())
    return torch.cat([weights[name].detach()[torch.tensor(~mask)] for name, mask in masks.items()])


def check_moved(network: nn.Module, masks: MaskSet, before: dict[str, torch.Tensor]) -> None:
    """Assert that removed weights are zero, and that in every layer kept ones are others than `before`."""
    assert not removed(network, masks).any()
    weights = dict(network.named_parameters())
    for name, mask in masks.items():
        assert (weights[name].detach() != before[name])[torch.tensor(mask)].any(), name
