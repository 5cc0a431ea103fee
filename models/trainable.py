"""Whether a network can be trained at all, found out before anything is started."""

import contextlib
import copy
import math

import torch
from torch import nn
from torch.nn import functional

from .batches import batches
from .dataset import Data
from .errors import InputError, first_line
from .placement import autocast, own_randomness, place_images, place_network
from .seeds import derive

#: Training images that are tried: a batch with one of each class would be too large where there are thousands.
BATCH = 64


def check_trainable(model: nn.Module, data: Data, name: str, device: str | torch.device = "cpu") -> None:
    """Raise `InputError`, naming the network `name`, unless its loss on a batch of training images is finite.

    Also where it cannot be copied, fails on them, or returns anything but logits (N, classes). A copy is called as
    training calls it, on `device`; `model` and the global generators are left as they were.
    """
    device = torch.device(device)
    split, generator = data.splits["train"], torch.Generator().manual_seed(derive(0, "trainable"))
    with contextlib.closing(batches(split, BATCH, generator, data.augment)) as drawn:
        images, labels = next(drawn)
    images = place_images(images, device)
    with own_randomness(device), torch.no_grad(), autocast(device):
        trial = place_network(_copied(model, name), device).train()
        try:
            logits = trial(images)
        except Exception as error:
            shape = " x ".join(str(length) for length in images.shape)
            raise InputError(f"{name} failed on a batch of {shape} training images: {first_line(error)}") from error
    _check_logits(logits, (len(images), data.task.classes), name)
    loss = functional.cross_entropy(logits.float(), labels.to(device)).item()
    if not math.isfinite(loss):
        raise InputError(
            f"the loss of {name} at its initial weights is {loss}; check its initialisation and its normalisation"
        )


def _copied(model: nn.Module, name: str) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise InputError(
            f"{name} cannot be copied ({first_line(error)}); every tensor it keeps must be a parameter, a buffer or "
            "detached, and a weight norm that of torch.nn.utils.parametrizations"
        ) from error


def _check_logits(logits: object, expected: tuple[int, int], name: str) -> None:
    if not isinstance(logits, torch.Tensor):
        given = f"a {type(logits).__name__}"
    elif tuple(logits.shape) != expected or not logits.is_floating_point():
        given = f"{tuple(logits.shape)} of {logits.dtype}"
    else:
        return
    raise InputError(f"{name} must return logits, one for each class, {expected}, but returned {given}")
