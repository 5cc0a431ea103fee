"""Checks of rendered documents by the schema that the target really uses, without the target."""

from .mistake import DocumentError
from .registry import validate

__all__ = ["DocumentError", "validate"]
