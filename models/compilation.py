"""A network compiled by torch."""

from collections.abc import Callable

import torch
from torch import nn

from .errors import InputError, first_line


def compiled(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what computes the outputs of `model` in compiled form; the model itself and its names stay as they are.

    The first call compiles, which can take a minute. It raises `InputError` where the network cannot be compiled.
    """
    # Here, because it takes a second to import.
    from torch._dynamo.exc import TorchDynamoException

    forward: Callable[[torch.Tensor], torch.Tensor] = torch.compile(model)

    def call(images: torch.Tensor) -> torch.Tensor:
        try:
            return forward(images)
        except TorchDynamoException as error:
            reason = first_line(getattr(error, "inner_exception", error))
            raise InputError(
                f"{type(model).__name__} cannot be compiled here ({reason}); train it with compile = false"
            ) from error

    return call
