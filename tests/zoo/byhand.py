"""Networks that compute by hand what libraries have layers for, or use a weight twice; small."""

import torch
from torch import nn
from torch.nn import functional as F


class StandardisedConv2d(nn.Conv2d):
    """A convolution that works with its weight at mean 0 and deviation 1 for each output."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return self._conv_forward(x, weight, self.bias)


def standardised(channels: int, size: int, classes: int) -> nn.Module:
    """Weight standardisation with group normalisation, between layers whose weights are used as they are."""
    stem = [nn.Conv2d(channels, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.ReLU()]
    middle = [StandardisedConv2d(16, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.ReLU()]
    head = [nn.Conv2d(32, 32, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes)]
    return nn.Sequential(*stem, *middle, *head)


class NormByHand(nn.Module):
    """Layer normalisation over the channels, written out."""

    def __init__(self, width: int):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width, 1, 1)), nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        return x / (x.pow(2).mean(1, keepdim=True) + 1e-6).sqrt() * self.scale + self.shift


class Block(nn.Module):
    """A residual block as of a ConvNeXt, of convolutions alone."""

    def __init__(self, width: int):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(width, width, 5, padding=2, groups=width), NormByHand(width)
        self.widen, self.narrow = nn.Conv2d(width, 4 * width, 1), nn.Conv2d(4 * width, width, 1)

    def forward(self, x):
        return x + self.narrow(F.gelu(self.widen(self.norm(self.depthwise(x)))))


def normalised(channels: int, size: int, classes: int) -> nn.Module:
    stem = [nn.Conv2d(channels, 16, 2, stride=2), NormByHand(16), Block(16), Block(16)]
    return nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, classes))


class Tied(nn.Module):
    """Two convolutions of one weight, one layer under two names, and one that is called twice."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 2, stride=2)
        self.one, self.other = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.other.weight = self.one.weight
        self.norms = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(4))
        self.mix = nn.Conv2d(16, 16, 1)
        self.again = self.mix
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for norm, layer in zip(self.norms, (self.one, self.other, self.mix, self.again), strict=True):
            x = x + F.relu(norm(layer(x)))
        return self.head(x.mean((2, 3)))


def tied(channels: int, size: int, classes: int) -> nn.Module:
    return Tied(channels, classes)
