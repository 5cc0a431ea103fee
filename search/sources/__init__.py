"""Mask sources, one file each. A new one is a file of a few lines here and a line in the registry."""

from typing import TYPE_CHECKING

from ...models.lazy import lazily
from .registry import SOURCES, source_called

if TYPE_CHECKING:
    from .differentiating import DifferentiatingSource
    from .setting import Setting
    from .source import Source

__all__ = ["SOURCES", "DifferentiatingSource", "Setting", "Source", "source_called"]

__getattr__ = lazily(
    __name__, {"DifferentiatingSource": ".differentiating", "Setting": ".setting", "Source": ".source"}
)
