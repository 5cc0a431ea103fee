"""Whether a network can be trained at all, found out before anything is started."""

import contextlib
import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from .batches import Batch, batches, few_images
from .dataset import Data
from .errors import FAILURES, InputError, first_line
from .placement import autocast, image_dtype, own_randomness, place_images, place_network
from .seeds import derive

#: Training images that are tried: a batch with one of each class would be too large where there are thousands.
BATCH = 64

#: Training images whose loss is differentiated, which takes more memory.
FEW = 2


def check_trainable(
    model: nn.Module, data: Data, name: str, device: str | torch.device = "cpu", batch_size: int = BATCH
) -> None:
    """Raise `InputError`, naming the network `name`, unless its loss on training images is finite, with a gradient.

    Also where it cannot be copied, fails on them, on batches of `batch_size` where that is less than `BATCH`, or on a
    single image in evaluation mode, returns anything but logits (N, classes), would be trained in float16, or where a
    copy of it calls layers that are not its own. A copy is called as training calls it, on `device`; `model` and the
    global generators are left as they were.
    """
    if any(weight.dtype == torch.float16 and weight.requires_grad for weight in model.parameters()):
        raise InputError(
            f"{name} has float16 weights, whose small gradients and updates become 0; "
            "build it with bfloat16 or float32 weights"
        )
    device = torch.device(device)
    with own_randomness(device), torch.no_grad():
        trial = _Trial(place_network(_copied(model, name), device), model, data.task.classes, name, device)
        images, labels = _batch(data, BATCH)
        logits = trial.logits(images, "training")
        loss = functional.cross_entropy(logits.float(), labels.to(device)).item()
        if not math.isfinite(loss):
            raise InputError(
                f"the loss of {name} at its initial weights is {loss}; check its initialisation and its normalisation"
            )
        if batch_size < len(images):
            try:
                trial.logits(_batch(data, batch_size)[0], "training")
            except InputError as error:
                raise InputError(
                    f"{error}; training.batch_size = {batch_size} is too small for it: batch normalisation of single "
                    "values, for example, takes 2 images or more"
                ) from error
        # The last batch of an evaluation may be a single image.
        trial.logits(few_images(data.splits["val"], 1)[0], "validation")
        trial.differentiate(few_images(data.splits["train"], FEW))


def _batch(data: Data, size: int) -> Batch:
    generator = torch.Generator().manual_seed(derive(0, "trainable"))
    with contextlib.closing(batches(data.splits["train"], size, generator, data.augment)) as drawn:
        return next(drawn)


def _copied(model: nn.Module, name: str) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except FAILURES as error:
        raise InputError(
            f"{name} cannot be copied ({first_line(error)}); every tensor it keeps must be a parameter, a buffer or "
            "detached, and a weight norm that of torch.nn.utils.parametrizations"
        ) from error


@contextlib.contextmanager
def _gradients_kept(model: nn.Module) -> Iterator[None]:
    """Take the gradients of the parameters away, and give them back at the end."""
    before = [(weight, weight.grad) for weight in model.parameters()]
    for weight, _ in before:
        weight.grad = None
    try:
        yield
    finally:
        for weight, gradient in before:
            weight.grad = gradient


def _without_gradient(model: nn.Module) -> bool:
    return all(weight.grad is None for weight in model.parameters())


@dataclass(frozen=True)
class _Trial:
    """The copy of a network that is called as training calls it."""

    model: nn.Module
    original: nn.Module
    classes: int
    name: str
    device: torch.device

    def logits(self, images: torch.Tensor, mode: str) -> torch.Tensor:
        """Return the logits of images of the split that `mode`, training or validation, sees."""
        self.model.train(mode == "training")
        images = place_images(images, self.device, image_dtype(self.model))
        try:
            with autocast(self.device):
                logits = self.model(images)
        except FAILURES as error:
            shape = " x ".join(str(length) for length in images.shape)
            raise InputError(f"{self.name} failed on a batch of {shape} {mode} images: {first_line(error)}") from error
        expected = (len(images), self.classes)
        if not isinstance(logits, torch.Tensor):
            given = f"a {type(logits).__name__}"
        elif tuple(logits.shape) != expected or not logits.is_floating_point():
            given = f"{tuple(logits.shape)} of {logits.dtype}"
        else:
            return logits
        raise InputError(f"{self.name} must return logits, one for each class, {expected}, but returned {given}")

    def differentiate(self, batch: Batch) -> None:
        """Raise `InputError` where the loss of training images has no gradient by a parameter of the network."""
        images, labels = batch
        with torch.enable_grad():
            logits = self.logits(images, "training")
            if not logits.requires_grad:
                raise InputError(
                    f"the logits of {self.name} have no gradient; look for detach(), torch.no_grad() and .data in its "
                    "forward pass"
                )
            with _gradients_kept(self.original):
                try:
                    functional.cross_entropy(logits.float(), labels.to(self.device)).backward()
                except FAILURES as error:
                    raise InputError(f"the loss of {self.name} has no gradient: {first_line(error)}") from error
                if _without_gradient(self.model) or not _without_gradient(self.original):
                    raise InputError(
                        f"the forward pass of {self.name} calls layers that are not its own in a copy of it, so that "
                        "the copy cannot be trained; reach them through self in the forward of a torch.nn.Module, not "
                        "through a closure"
                    )
