"""Mask sources, one file each. A new one is a file of a few lines here and a line in the registry."""

from .registry import KNOWN, SOURCES, source
from .setting import Setting
from .source import Source

__all__ = ["KNOWN", "SOURCES", "Setting", "Source", "source"]
