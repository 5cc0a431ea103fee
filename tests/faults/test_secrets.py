"""A password that a search is given: in none of its files, nor on its screen, nor in what Ray writes."""

import signal
import tempfile
from pathlib import Path

import pytest

from .postgres import PASSWORD, running
from .searches import Search


@pytest.mark.timeout(300)
def test_a_password_that_a_search_is_given_is_nowhere_in_what_it_leaves(tmp_path):
    # Ray's sockets need a short path.
    with running() as server, tempfile.TemporaryDirectory(prefix="ray-") as ray:
        settings = [f"tracking.storage={server.url}", "warmup.iterations=0", "search.trials=500", "final.top_k=0"]
        search = Search(tmp_path / "search", *settings).start(environment={"RAY_TMPDIR": ray})
        search.wait(lambda: search.heartbeat().get("ended"), 150)
        search.process.send_signal(signal.SIGTERM)
        out, err = search.end(143)
        assert "--set=tracking.storage=postgresql://ada@127.0.0.1" in out
        assert "the password in --set tracking.storage can be read in lists of processes" in err
        # The study went to the server: its ledger is read there, with the password.
        assert search.ledger().trials()
        files = [file for folder in (search.folder, Path(ray)) for file in folder.rglob("*") if file.is_file()]
        assert search.files.settings in files and len(files) > 20
        assert [file for file in files if PASSWORD.encode() in file.read_bytes()] == []
        assert PASSWORD not in out + err
