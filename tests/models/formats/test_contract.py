"""Every format keeps the contract of formats."""

import pytest
from fullspectrum.models.formats import FORMATS, Format
from fullspectrum.models.testing import FormatContract


class TestEachFormat(FormatContract):
    @pytest.fixture(params=FORMATS)
    def format(self, request) -> Format:
        return FORMATS[request.param]()
