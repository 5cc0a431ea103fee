"""Networks that mix tokens, each the features of a patch of an image; small."""

import torch
from torch import nn


def _mlp(width: int, inner: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))


class WindowAttention(nn.Module):
    """Attention within windows of 4 x 4 that are shifted, with a bias for the distance between two tokens."""

    def __init__(self, width: int, heads: int, size: int, shift: int):
        super().__init__()
        self.heads, self.shift = heads, shift
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.bias = nn.Parameter(0.02 * torch.randn(7 * 7, heads))
        places = torch.cartesian_prod(torch.arange(4), torch.arange(4))
        distances = places[:, None] - places[None, :] + 3
        self.register_buffer("index", distances[..., 0] * 7 + distances[..., 1], persistent=False)
        # A window that the shift puts together from opposite edges does not see across.
        edges = torch.arange(size).ge(size - 4).int() + torch.arange(size).ge(size - shift)
        regions = self.windows((3 * edges[:, None] + edges)[None, :, :, None])[..., 0]
        self.register_buffer("mask", -100.0 * (regions[:, None] != regions[..., None]), persistent=False)

    @staticmethod
    def windows(x):
        return x.unflatten(2, (-1, 4)).unflatten(1, (-1, 4)).transpose(2, 3).reshape(-1, 16, x.shape[-1])

    def forward(self, x):
        windows = self.windows(torch.roll(x, (-self.shift, -self.shift), (1, 2)))
        query, key, value = self.qkv(windows).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5 + self.bias[self.index].permute(2, 0, 1)
        scores = scores.unflatten(0, (len(x), -1)) + self.mask[:, None]
        y = self.project((scores.flatten(0, 1).softmax(-1) @ value).transpose(1, 2).flatten(2))
        y = y.view(len(x), x.shape[1] // 4, -1, 4, 4, x.shape[3]).transpose(2, 3).reshape(x.shape)
        return torch.roll(y, (self.shift, self.shift), (1, 2))


class SwinBlock(nn.Module):
    def __init__(self, width: int, size: int, shift: int):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = WindowAttention(width, 2, size, shift), _mlp(width, 2 * width)

    def forward(self, x):
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.after(x))


class Merging(nn.Module):
    """Four neighbours become one token."""

    def __init__(self, width: int):
        super().__init__()
        self.norm, self.reduce = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduce(self.norm(torch.cat(corners, dim=-1)))


class Swin(nn.Module):
    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        self.patches = nn.Conv2d(channels, 16, 2, stride=2)
        stages = [SwinBlock(16, size // 2, 0), SwinBlock(16, size // 2, 2), Merging(16), SwinBlock(32, size // 4, 0)]
        self.stages, self.norm, self.head = nn.Sequential(*stages), nn.LayerNorm(32), nn.Linear(32, classes)

    def forward(self, images):
        x = self.stages(self.patches(images).permute(0, 2, 3, 1))
        return self.head(self.norm(x).mean((1, 2)))


def swin(channels: int, size: int, classes: int) -> nn.Module:
    """Windows in place, shifted windows, and half the tokens of twice the width."""
    return Swin(channels, size, classes)


class PackedAttention(nn.Module):
    """Attention whose queries, keys and values are one linear layer."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.qkv, self.project = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.project(y.transpose(1, 2).flatten(2))


class LibraryAttention(nn.Module):
    """Attention of torch."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class ViTBlock(nn.Module):
    def __init__(self, width: int, attention: nn.Module):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = attention, _mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.attention(self.before(x))
        return x + self.mlp(self.after(x))


class ViT(nn.Module):
    """A class token, and a vector for each position."""

    def __init__(self, channels: int, size: int, classes: int, attention: type[nn.Module]):
        super().__init__()
        self.patches = nn.Conv2d(channels, 16, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // 4) ** 2 + 1, 16))
        self.blocks = nn.Sequential(*(ViTBlock(16, attention(16, 2)) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, classes)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def packed_vit(channels: int, size: int, classes: int) -> nn.Module:
    return ViT(channels, size, classes, PackedAttention)


def vit(channels: int, size: int, classes: int) -> nn.Module:
    return ViT(channels, size, classes, LibraryAttention)


class MixerBlock(nn.Module):
    """Mixes the tokens of each feature, then the features of each token."""

    def __init__(self, tokens: int, width: int):
        super().__init__()
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens, self.features = _mlp(tokens, 2 * tokens), _mlp(width, 4 * width)

    def forward(self, x):
        x = x + self.tokens(self.before(x).transpose(1, 2)).transpose(1, 2)
        return x + self.features(self.after(x))


class Mixer(nn.Module):
    def __init__(self, channels: int, size: int, classes: int):
        super().__init__()
        self.patches = nn.Conv2d(channels, 16, 4, stride=4)
        self.blocks = nn.Sequential(*(MixerBlock((size // 4) ** 2, 16) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, classes)

    def forward(self, images):
        return self.head(self.norm(self.blocks(self.patches(images).flatten(2).transpose(1, 2))).mean(1))


def mixer(channels: int, size: int, classes: int) -> nn.Module:
    return Mixer(channels, size, classes)
