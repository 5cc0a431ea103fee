"""A cluster and its job as the file that each target takes."""

from .registry import TARGETS, render, target_of
from .rendered import Rendered

__all__ = ["TARGETS", "Rendered", "render", "target_of"]
