"""Mask sources by name. A new one is a file of a few lines here and a line in the registry."""

from .magnitude import Magnitude
from .random import Random
from .snip import Snip
from .source import Source

SOURCES: dict[str, Source] = {"random": Random(), "magnitude": Magnitude(), "snip": Snip()}

__all__ = ["SOURCES", "Source"]
