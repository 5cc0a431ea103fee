"""Test suites for file formats and mask rules of one's own: supply a fixture and inherit the suite. Needs pytest."""

import pytest

# Before they are imported, so that a failed assertion shows its values.
pytest.register_assert_rewrite(f"{__name__}.formats", f"{__name__}.maskrules")

from .formats import FormatContract
from .maskrules import MaskRuleContract

__all__ = ["FormatContract", "MaskRuleContract"]
