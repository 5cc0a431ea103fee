"""A store of files by its URI: a real S3 server, a folder, and what is none."""

import errno
import os
import time
from collections.abc import Iterator

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.remote import mirror, retries
from fullspectrum.search.remote.mirror import StoredMarker
from fullspectrum.search.remote.objectstore import ObjectStore

from ...faults.s3 import S3, serving


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(params=["s3", "folder"])
def store(request, s3, tmp_path) -> ObjectStore:
    uri = f"s3://bucket/{tmp_path.name}/studies" if request.param == "s3" else f"file://{tmp_path}/my studies"
    store = ObjectStore(uri)
    store.check(wait=False)
    return store


def test_files_come_back_as_they_were_put_and_are_gone_when_they_are_removed(store, tmp_path):
    file, back = tmp_path / "file", tmp_path / "new" / "back"
    file.write_bytes(os.urandom(3 << 20))
    for name in ("abc/one", "abc/in/two", "abcd/three"):
        store.put(file, name)
    assert store.get("abc/in/two", back)
    assert back.read_bytes() == file.read_bytes()
    assert store.sizes("abc") == {"abc/one": 3 << 20, "abc/in/two": 3 << 20}
    file.write_bytes(b"")
    store.put(file, "abc/one")
    assert store.get("abc/one", back) and back.read_bytes() == b""
    assert store.exists("abc/one")
    store.remove("abc/one")
    store.remove("abc/one")
    assert not store.exists("abc/one")
    store.remove("abc")
    assert store.sizes("abc") == {}
    assert not store.get("abc/in/two", back)
    assert back.read_bytes() == b"", "what is not there leaves the file alone"
    assert list(store.sizes("")) == ["abcd/three"], "a check leaves nothing"


def refusal(uri: str) -> str:
    with pytest.raises(InputError) as caught:
        ObjectStore(uri).check(wait=False)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("uri", ["runs/files", "s4://bucket/x", "s3://", "gs://", "http://bucket/x", "bucket"])
def test_what_is_no_uri_of_a_store_is_refused_with_what_is(uri):
    assert f"tracking.files = {uri!r}: expected s3://BUCKET/PREFIX" in refusal(uri)


def test_a_key_in_the_uri_is_refused_and_not_repeated():
    message = refusal("s3://ada:hunter2@bucket/studies")
    assert "AWS_SECRET_ACCESS_KEY" in message and "hunter2" not in message


def test_a_bucket_that_is_not_there_and_a_server_that_is_not_are_named(s3, monkeypatch):
    assert "cannot use tracking.files = 's3://other/x': there is no such bucket" in refusal("s3://other/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "nobody answers at its endpoint; is AWS_ENDPOINT_URL right?" in refusal("s3://bucket/x")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert f"cannot use tracking.files = 'file://{tmp_path}/file'" in refusal(f"file://{tmp_path}/file")


@pytest.mark.timeout(120)
def test_while_the_store_is_away_a_writer_waits_and_a_marker_keeps_nobody_waiting(s3, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mirror, "_ASKED_EVERY", 0.2)
    store, file = ObjectStore("s3://bucket/away"), tmp_path / "file"
    file.write_text("content")
    marker = StoredMarker(store, "leave", tmp_path / "leave")
    store.put(file, "leave")
    assert until(marker.exists)
    with s3.away():
        began = time.monotonic()
        assert marker.exists(), "as it was when the store last answered"
        assert time.monotonic() - began < 0.1
        store.give_up = lambda: time.monotonic() - began > 2
        with pytest.raises(OSError, match="has not answered") as caught:
            store.put(file, "file")
        assert caught.value.errno == errno.EIO
    assert "does not answer" in capsys.readouterr().err
    store.give_up = lambda: False
    store.put(file, "file")
    marker.unlink()
    assert until(lambda: not marker.exists())


def until(reached) -> bool:
    end = time.monotonic() + 20
    while not reached() and time.monotonic() < end:
        time.sleep(0.05)
    return reached()


def test_pauses_grow_until_the_time_is_over(monkeypatch):
    moments, now = [], [0.0]
    monkeypatch.setattr(retries.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(retries.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def fail() -> None:
        moments.append(round(now[0], 3))
        raise OSError("gone")

    with pytest.raises(RuntimeError, match="the server has not answered for 3 s"):
        retries.retrying(fail, str, "the server", RuntimeError, seconds=3.0)
    assert moments == [0.0, 0.2, 0.6, 1.4, 3.0]
