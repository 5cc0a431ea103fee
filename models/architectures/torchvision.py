"""Any classification network of torchvision, fitted to the task."""

import torch
from torch import nn

from ..errors import InputError, first_line, nearest
from ..task import Task

SMALL = 64
"""Pixels a side up to which the 7 x 7 stem of a ResNet, made for 224, would throw away most of the image."""

# Their auxiliary heads turn the output of training into a tuple; `init_weights` silences a warning about its default.
_WITHOUT_AUXILIARY_HEADS = {"googlenet", "inception_v3"}


def build(name: str, task: Task) -> nn.Module:
    """Build the torchvision network `name` without pretrained weights.

    For images up to `SMALL` pixels, a 7 x 7 stem of stride 2 becomes 3 x 3 of stride 1 and its pooling is dropped (as
    in the CIFAR variants of the ResNets). For other than three channels the first convolution is replaced.
    Raises `InputError` for an unknown name, and when the network cannot take images of that size.
    """
    # Here, because it takes a second to import and most studies do not need it.
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise InputError(f'unknown torchvision model "{name}"{nearest(name, known)} (see torchvision.models)')
    options = {"aux_logits": False, "init_weights": True} if name in _WITHOUT_AUXILIARY_HEADS else {}
    model = models.get_model(name, weights=None, num_classes=task.classes, **options)
    if task.size <= SMALL:
        _shrink_stem(model)
    if task.channels != 3:
        _replace_first_convolution(model, in_channels=task.channels)
    _check_forward(name, model, task)
    return model


def _shrink_stem(model: nn.Module) -> None:
    stem = getattr(model, "conv1", None)
    if (
        isinstance(stem, nn.Conv2d)
        and (stem.kernel_size, stem.stride) == ((7, 7), (2, 2))
        and hasattr(model, "maxpool")
    ):
        _replace_first_convolution(model, kernel_size=3, stride=1, padding=1)
        model.maxpool = nn.Identity()


def _replace_first_convolution(model: nn.Module, **changes: object) -> None:
    path, old = next((path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d))
    settings = {key: getattr(old, key) for key in ("in_channels", "out_channels", "kernel_size", "stride", "padding")}
    settings |= {key: getattr(old, key) for key in ("dilation", "groups", "padding_mode")}
    new = nn.Conv2d(**{**settings, **changes}, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    parent, _, leaf = path.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)


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
            f"torchvision:{name} cannot take images of {task.size} x {task.size} pixels ({first_line(error)})."
        ) from error
    finally:
        model.train(training)
