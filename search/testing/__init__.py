"""A test suite for mask sources of one's own: supply a fixture and inherit the suite. Needs pytest."""

import pytest

# Before it is imported, so that a failed assertion shows its values.
pytest.register_assert_rewrite(f"{__name__}.sources")

from .sources import SourceContract

__all__ = ["SourceContract"]
