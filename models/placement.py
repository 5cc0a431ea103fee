"""How a network works on its device: in float32 on the CPU, in channels_last and bfloat16 autocast on a GPU."""

import contextlib

import torch
from torch import nn


def place_network(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`, in place, and return it."""
    model = model.to(device)
    if device.type == "cuda":
        to_channels_last(model)
    return model


def place_images(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return `images` (N, C, H, W) on `device`, laid out as the network's weights are."""
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return images.to(device).contiguous(memory_format=layout)


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a network on `device` is called."""
    return torch.autocast("cuda", dtype=torch.bfloat16, enabled=device.type == "cuda")


def own_randomness(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return a context after which the global generators, of the CPU and of `device`, are as they were before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of `device` alone; stand within `own_randomness`.

    Not torch.manual_seed, which touches every GPU, also those that others compute on.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def to_channels_last(model: nn.Module) -> None:
    """Store the weights of 2-d convolutions so, in place; `Module.to` refuses a network that has 3-d ones as well."""
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
