"""A study's pages in a real MLflow, as a real browser shows them at 1,440 × 900 before anybody scrolls."""

import subprocess
import sys
import time
import urllib.request

import pytest
from fullspectrum.search.record.note import name_of
from fullspectrum.search.report.audit.verdict import verdict

from ...browser import look

START = "import sys; from fullspectrum.search.cli import main; sys.exit(main())"

PORT = 5517


@pytest.fixture
def addresses(finished):
    """The pages that `fullspectrum ui` prints, while it serves them."""
    study, home = finished.study.id, finished.folder.path.parent
    command = [sys.executable, "-c", START, "ui", study, "--home", str(home), "--port", str(PORT), "--no-open"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        pages = [server.stdout.readline().split(": ", 1)[1].strip() for _ in range(2)]
        _wait(f"http://127.0.0.1:{PORT}/health")
        yield pages
    finally:
        server.terminate()
        server.wait(60)


def _wait(address: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < end, f"no answer at {address}"
            time.sleep(0.5)


@pytest.mark.timeout(500)
def test_what_is_asked_first_is_in_view_without_scrolling(finished, addresses, tmp_path):
    study, runs = look(addresses, tmp_path)
    best = name_of(finished.rows[0].values())
    # Which mask is best, how to get it, whether to trust the score.
    assert "The best mask, " in study and best in study
    assert f"fullspectrum export best:{finished.study.id} --format torch-prune" in study
    assert verdict(finished.audit)[:60] in study
    # The best masks lead the list of runs.
    assert best in runs
    assert {path.name for path in tmp_path.iterdir()} == {"page-0.png", "page-1.png"}
