"""Networks of convolutions, small."""

import torch
from torch import nn
from torch.nn import functional as F


class ConvNeXtBlock(nn.Module):
    """A depthwise convolution, and two linear layers over the channels, scaled in the end."""

    def __init__(self, width: int):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x):
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.narrow(F.gelu(self.widen(y)))).permute(0, 3, 1, 2)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of images."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def convnext(channels: int, size: int, classes: int) -> nn.Module:
    """Patches of 2 x 2, and two stages."""
    stem = [nn.Conv2d(channels, 16, 2, stride=2), ChannelNorm(16, eps=1e-6), ConvNeXtBlock(16), ConvNeXtBlock(16)]
    reduction = [ChannelNorm(16, eps=1e-6), nn.Conv2d(16, 32, 2, stride=2), ConvNeXtBlock(32)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(32, eps=1e-6), nn.Linear(32, classes)]
    return nn.Sequential(*stem, *reduction, *head)


def _normed(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


class InvertedBottleneck(nn.Module):
    """A depthwise convolution between two of 1 x 1, its channels scaled by what squeeze and excite finds."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        inner = 4 * inputs
        self.expand, self.depthwise = _normed(inputs, inner, 1), _normed(inner, inner, 3, stride, inner)
        self.squeeze, self.excite = nn.Conv2d(inner, inputs // 2, 1), nn.Conv2d(inputs // 2, inner, 1)
        self.project, self.residual = _normed(inner, outputs, 1), stride == 1 and inputs == outputs

    def forward(self, x):
        y = F.silu(self.depthwise(F.silu(self.expand(x))))
        scale = self.excite(F.silu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        y = self.project(y * torch.sigmoid(scale))
        return x + y if self.residual else y


def efficientnet(channels: int, size: int, classes: int) -> nn.Module:
    """Four blocks, of which two are residual."""
    shapes = ((16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 32, 2))
    stem = [_normed(channels, 16, 3, 2), nn.SiLU()]
    head = [
        _normed(32, 64, 1),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64, classes),
    ]
    return nn.Sequential(*stem, *(InvertedBottleneck(*shape) for shape in shapes), *head)


class UNet(nn.Module):
    """Down and up again, where each step up reads what the step down of its size has made."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.first, self.second, self.bottom = (
            nn.Sequential(_normed(inputs, 2 * width, 3), nn.ReLU(), _normed(2 * width, 2 * width, 3), nn.ReLU())
            for inputs, width in ((channels, 4), (8, 8), (16, 16))
        )
        self.up, self.raised = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.Sequential(_normed(32, 16, 3), nn.ReLU())
        self.top = nn.Sequential(_normed(24, 16, 3), nn.ReLU())
        self.head = nn.Linear(16, classes)

    def forward(self, x):
        first = self.first(x)
        second = self.second(F.max_pool2d(first, 2))
        x = self.up(self.bottom(F.max_pool2d(second, 2)))
        x = self.raised(torch.cat([second, x], dim=1))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.top(torch.cat([first, x], dim=1)).mean((2, 3)))


def unet(channels: int, size: int, classes: int) -> nn.Module:
    return UNet(channels, classes)


class DenseLayer(nn.Module):
    """A bottleneck that adds its outputs to the channels that it reads."""

    def __init__(self, inputs: int, growth: int):
        super().__init__()
        self.bottleneck = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.Conv2d(inputs, 2 * growth, 1))
        self.grow = nn.Sequential(
            nn.BatchNorm2d(2 * growth), nn.ReLU(inplace=True), nn.Conv2d(2 * growth, growth, 3, padding=1)
        )

    def forward(self, x):
        return torch.cat([x, self.grow(self.bottleneck(x))], dim=1)


def densenet(channels: int, size: int, classes: int) -> nn.Module:
    """Two blocks of three layers, and a transition that halves the channels between them."""
    first, second = ([DenseLayer(inputs + 8 * number, 8) for number in range(3)] for inputs in (16, 20))
    transition = [nn.BatchNorm2d(40), nn.ReLU(inplace=True), nn.Conv2d(40, 20, 1), nn.AvgPool2d(2)]
    head = [nn.BatchNorm2d(44), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(44, classes)]
    return nn.Sequential(nn.Conv2d(channels, 16, 3, 2, 1), *first, *transition, *second, *head)
