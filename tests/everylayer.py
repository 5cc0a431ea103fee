"""A small network with a layer of every kind that can be pruned, for digits."""

import torch
from torch import nn


class EveryLayer(nn.Module):
    """Convolutions in one, two and three dimensions, grouped and transposed; embedded positions, attention, a head.

    Takes images (N, 1, 8, 8) and returns (N, 10). Its token is the one parameter of several axes that is never pruned.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.volume = nn.Conv3d(1, 4, (1, 3, 3), padding=(0, 1, 1))
            self.patches = nn.Conv2d(4, 8, 2, stride=2)
            self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
            self.up = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=2)
            self.positions = nn.Embedding(64, 8)
            self.mixing = nn.Conv1d(8, 8, 3, padding=1)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.head = nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.volume(images.unsqueeze(2))).squeeze(2)
        x = torch.relu(self.depthwise(torch.relu(self.patches(x))))
        x = torch.relu(self.up(x)).flatten(2) + self.positions(torch.arange(64)).T
        x = torch.relu(self.mixing(x)).transpose(1, 2) + self.token
        return self.head((x + self.attention(x, x, x, need_weights=False)[0]).mean(1))
