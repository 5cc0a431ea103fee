"""What an undisturbed search comes to, and an end to every other."""

from collections.abc import Iterator

import pytest

from .searches import Search


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Search:
    """The study of these tests, run to its end with nothing in its way."""
    search = Search(tmp_path_factory.mktemp("undisturbed"))
    search.start().end()
    return search


@pytest.fixture(autouse=True)
def no_search_outlives_its_test() -> Iterator[None]:
    """One that did, as a test fails, would take the processors of the next."""
    yield
    while Search.started:
        search = Search.started.pop()
        if search.process.poll() is None:
            search.kill()
