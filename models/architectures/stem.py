"""The stem of a network: its first convolution, and the max pooling behind it."""

from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Module)


def shrink_stem(model: nn.Module) -> list[str]:
    """Make a stem that was designed for images of 224 pixels fit small ones; return what was done, in sentences.

    A first convolution with a stride becomes 3 x 3 of stride 1, and the network's first max pooling is dropped, as in
    the CIFAR variants of the ResNets. One that cuts the image into patches (Swin, ConvNeXt), which has no overlap to
    lose, becomes 2 x 2 of stride 2. A stem without a stride stays as it is.
    """
    _, old = next(_named(model, nn.Conv2d))
    (kernel, _), (stride, _) = old.kernel_size, old.stride
    if stride == 1:
        return []
    if kernel == stride:
        replace_first_convolution(model, kernel_size=2, stride=2)
        return [f"stem: patches of {kernel} x {kernel} pixels made 2 x 2"]
    replace_first_convolution(model, kernel_size=3, stride=1, padding=1)
    done = f"stem: {kernel} x {kernel} convolution of stride {stride} made 3 x 3 of stride 1"
    for path, _ in islice(_named(model, nn.MaxPool2d), 1):
        model.set_submodule(path, nn.Identity())
        done += ", max pooling dropped"
    return [done]


def replace_first_convolution(model: nn.Module, **changes: object) -> None:
    """Put a new convolution, with `changes` to the settings of the old one, in place of the network's first.

    Its weights start at the normal distribution of He et al. (ICCV 2015), fan out. One that cuts the image into
    patches starts as torchvision's transformers do: weights of variance 1 / fan in, bias 0.
    """
    path, old = next(_named(model, nn.Conv2d))
    settings = {key: getattr(old, key) for key in ("in_channels", "out_channels", "kernel_size", "stride", "padding")}
    settings |= {key: getattr(old, key) for key in ("dilation", "groups", "padding_mode")}
    new = nn.Conv2d(**{**settings, **changes}, bias=old.bias is not None)
    if new.kernel_size == new.stride:
        nn.init.kaiming_normal_(new.weight, nonlinearity="linear")
        nn.init.zeros_(new.get_parameter("bias"))
    else:
        nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule(path, new)


def _named(model: nn.Module, kind: type[Layer]) -> Iterator[tuple[str, Layer]]:
    return ((path, module) for path, module in model.named_modules() if isinstance(module, kind))
