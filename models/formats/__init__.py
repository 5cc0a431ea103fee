"""File formats in which a mask set and its initial weights are handed to another trainer."""

from .registry import FORMATS, Format, export

__all__ = ["FORMATS", "Format", "export"]
