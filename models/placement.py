"""How a network works on its device: as it is on the CPU, in channels_last and bfloat16 autocast on a GPU."""

import contextlib

import torch
from torch import nn


def place_network(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`, in place, and return it."""
    model = model.to(device)
    if device.type == "cuda":
        to_channels_last(model)
    return model


def image_dtype(model: nn.Module) -> torch.dtype:
    """Return the dtype of the images that `model` is called with: that of its first weights, mostly float32.

    A network in bfloat16 so takes them as they come; one whose parts differ casts between them.
    """
    return next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), torch.float32)


def place_images(images: torch.Tensor, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return `images` (N, C, H, W) on `device`, laid out as the network's weights are."""
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return images.to(device, dtype).contiguous(memory_format=layout)


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
