"""The checks by target."""

from collections.abc import Mapping
from typing import Any


def validate(target: str, document: Mapping[str, Any]) -> None:
    """Check a rendered document. Raise ClusterError, in one line that names the place, for what the target refuses."""
