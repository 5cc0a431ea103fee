"""Networks that torch compiles, run as they are written."""

import contextlib
import sys
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Let a network that torch compiles run as it is written, each operation seen."""
    # It takes a second to import, and whoever has compiled anything has it.
    if compiler := sys.modules.get("torch._dynamo"):
        with torch.compiler.set_stance("force_eager"), compiler.config.patch(error_on_nested_fx_trace=False):
            yield
    else:
        yield
