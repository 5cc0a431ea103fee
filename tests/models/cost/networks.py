"""Networks with every kind of layer that costs something, each with an input."""

import torch
from torch import nn


class Functional(nn.Module):
    """Uses weights in parts, in other dtypes, transposed, and several times."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 6)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        # x: (N, 5, 6)
        x = self.first(x)
        x = x @ self.second.weight.double().float().t()
        x = torch.nn.functional.linear(x[:, :3], self.first.weight[:4])
        x = torch.cat([x, x @ self.second.weight[:4, :4]], dim=-1)
        # Queries, keys and values are of different lengths: the packed projection is used in parts.
        return self.attention(x, x[:, :2], x[:, :2], need_weights=True)[0]


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(self.layer(self.embedding(tokens)))


def convolutions(**settings) -> nn.Sequential:
    """A convolution and a transposed one, both grouped, and one of an image without padding."""
    return nn.Sequential(
        nn.Conv2d(4, 6, 3, padding=1, groups=2),
        nn.ConvTranspose2d(6, 4, 2, stride=2, groups=2),
        nn.ReLU(),
        nn.Conv2d(4, 8, (3, 2), stride=(2, 1), dilation=(1, 2), bias=False),
        nn.Flatten(),
        nn.LazyLinear(5),
    )


def built(make, example):
    """Return a network made with seed 0, called once, and its input."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
        network(example)
    return network, example


def images(channels: int, size: int, number: int = 1) -> torch.Tensor:
    return torch.rand(number, channels, size, size, generator=torch.Generator().manual_seed(0))


NETWORKS = {
    "convolutions": lambda: built(convolutions, images(4, 7)),
    "functional": lambda: built(Functional, torch.rand(1, 5, 6, generator=torch.Generator().manual_seed(0))),
    "tied": lambda: built(Tied, torch.arange(5)[None]),
    "several inputs": lambda: built(
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(8, 3)), torch.rand(2, 3, 4)
    ),
}
