"""Mask sources, one file each. A new one is a file of a few lines here and a line in the registry."""

from typing import TYPE_CHECKING

from ...models.lazy import lazily
from .registry import SOURCES, source_called

if TYPE_CHECKING:
    from .setting import Setting
    from .source import Source

__all__ = ["SOURCES", "Setting", "Source", "source_called"]

__getattr__ = lazily(__name__, {"Setting": ".setting", "Source": ".source"})
