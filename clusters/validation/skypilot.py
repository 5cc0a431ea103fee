"""Checks of a task of SkyPilot, by the facts of its schema."""

from collections.abc import Mapping
from typing import Any

from .schema import check_schema, facts


def check_task(document: Mapping[str, Any]) -> None:
    """Check a task of SkyPilot. Raise DocumentError for the first thing that it refuses."""
    check_schema(document, facts("skypilot_task"))
