"""Any classification network of torchvision, fitted to the task."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..errors import InputError, first_line
from ..task import Task
from .registry import TORCHVISION
from .stem import replace_first_convolution, shrink_stem
from .transformer import fit_vision_transformer, maxvit_t

#: Attribute of a built network: what was changed against the published one, in sentences.
ADAPTATIONS = "fullspectrum_adaptations"

#: Pixels a side up to which a stem made for 224 would throw away most of the image.
SMALL = 64

#: Their auxiliary heads turn the output of training into a tuple; `init_weights` silences a warning about its default.
_WITHOUT_AUXILIARY_HEADS = {"googlenet", "inception_v3"}


def build(name: str, task: Task) -> nn.Module:
    """Build the torchvision network `name` without pretrained weights.

    For images up to `SMALL` pixels the stem is made to keep their resolution (`shrink_stem`), and patches of vision
    transformers become 4 x 4. Networks made for one image size are made for `task.size`. For other than three channels
    the first convolution is replaced. All of that stands in the attribute `ADAPTATIONS`.
    Raises `InputError` when the network cannot take images of that size.
    """
    try:
        model, done = _fitted(name, task)
    except NotImplementedError:
        # RegNet computes its widths with tensors, which the device without memory cannot.
        weights_on = _WeightsOn(torch.get_default_device())
        with torch.device("cpu"), weights_on:
            model, done = _fitted(name, task)
    _check_forward(name, model, task)
    setattr(model, ADAPTATIONS, tuple(done))
    return model


def _fitted(name: str, task: Task) -> tuple[nn.Module, list[str]]:
    # Here, because it takes a second to import and most studies do not need it.
    from torchvision import models

    small = task.size <= SMALL
    if name == "maxvit_t":
        model, done = maxvit_t(task, small)
    elif name in _WITHOUT_AUXILIARY_HEADS:
        model = models.get_model(name, num_classes=task.classes, aux_logits=False, init_weights=True)
        done = ["head: auxiliary classifiers left out"]
    else:
        model, done = models.get_model(name, num_classes=task.classes), []
    if isinstance(model, models.VisionTransformer):
        done += fit_vision_transformer(name, model, task.size, small)
    elif small:
        done += shrink_stem(model)
    if task.channels != 3:
        replace_first_convolution(model, in_channels=task.channels)
        done.append(f"input channels: {task.channels} in place of 3")
    return model, done


def _check_forward(name: str, model: nn.Module, task: Task) -> None:
    """Run the shapes through, without weights or arithmetic: some networks need a least or an exact image size."""
    shapes = {key: tensor.to("meta") for key, tensor in model.state_dict().items()}
    images = torch.empty(2, task.channels, task.size, task.size, device="meta")
    training = model.training
    model.eval()
    try:
        torch.func.functional_call(model, shapes, (images,))
    except Exception as error:
        raise InputError(
            f"{TORCHVISION}{name} cannot take images of {task.size} x {task.size} pixels ({first_line(error)})"
        ) from error
    finally:
        model.train(training)


class _WeightsOn(TorchFunctionMode):
    """A mode that puts what `torch.empty` makes, as layers make their weights, on a device, and no other tensors."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty and kwargs.get("device") is None:
            kwargs["device"] = self._device
        return func(*args, **kwargs)
