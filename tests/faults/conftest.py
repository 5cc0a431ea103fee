"""What an undisturbed search comes to."""

import pytest

from .searches import Search


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Search:
    """The study of these tests, run to its end with nothing in its way."""
    search = Search(tmp_path_factory.mktemp("undisturbed"))
    search.start().end()
    return search
