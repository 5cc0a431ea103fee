"""Bipartite graphs of pruned layers, their singular values, and the full-spectrum coordinate built on them."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cache import SpectralCache
    from .coordinate import Coordinate, full_spectrum

__all__ = ["Coordinate", "SpectralCache", "full_spectrum"]

#: The module that each public name is loaded from when it is first asked for (PEP 562): importing the package is free.
_MODULES = {"Coordinate": ".coordinate", "SpectralCache": ".cache", "full_spectrum": ".coordinate"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
