"""Checks of rendered files by the schema that the target really uses, without the target."""

from .registry import validate

__all__ = ["validate"]
