"""The lock on a study: one driver at a time, and whoever is refused is told by whom."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.store.lock import study_lock
from fullspectrum.search.store.owner import LockOwner
from fullspectrum.search.store.serversessions import advisory_key

SETTINGS = {"model": "digits_cnn", "data": "digits", "sparsity": 0.9}

#: A driver that starts a program which outlives it.
DRIVER = """
import json, subprocess, sys, time
from pathlib import Path
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.store.lock import study_lock
from fullspectrum.search.store.serversessions import advisory_key
from fullspectrum.search.config.studyfile import parse
with study_lock(StudyFolder(Path(sys.argv[1])), parse(json.loads(sys.argv[2]))):
    print(subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL).pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def study() -> Study:
    return parse(SETTINGS)


@pytest.fixture
def folder(tmp_path) -> StudyFolder:
    return StudyFolder(tmp_path / "runs" / "abc")


def refusal(folder: StudyFolder, study: Study) -> str:
    with pytest.raises(InputError) as caught, study_lock(folder, study):
        pass
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_second_driver_is_told_who_searches_the_study_and_what_to_do(folder, study, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fullspectrum", "search", "my study.toml"])
    with study_lock(folder, study) as lock:
        assert lock.stale is None
        lock.check()
        message = refusal(folder, study)
    assert re.fullmatch(
        rf"study {study.id} is being searched by process {os.getpid()} on {re.escape(socket.gethostname())} "
        r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(fullspectrum search 'my study.toml'\); "
        rf"wait for it, or stop it with kill {os.getpid()}",
        message,
    )


def test_a_refused_driver_takes_nothing_from_the_one_that_holds_the_study(folder, study):
    with study_lock(folder, study):
        assert refusal(folder, study) == refusal(folder, study)


def test_a_driver_on_another_machine_is_named_with_it(folder, study):
    folder.path.mkdir(parents=True)
    with folder.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(LockOwner("gpu-7", 123, datetime(2026, 11, 20, 12, tzinfo=UTC)).to_json())
        file.flush()
        assert refusal(folder, study) == (
            f"study {study.id} is being searched by process 123 on gpu-7 since 2026-11-20 12:00:00 UTC; "
            "wait for it, or stop it with kill 123 on gpu-7"
        )


def test_who_only_looks_is_in_no_drivers_way(folder, study):
    """`fullspectrum status`, for an instant, where a driver died."""
    folder.path.mkdir(parents=True)
    with folder.lock.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        leaves = threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN))
        leaves.start()
        with study_lock(folder, study):
            pass
        leaves.join()


@pytest.mark.parametrize("content", [b"", b'{"host": "gpu', b"[]", b"{}", b"\xff\0"])
def test_a_holder_that_has_not_written_its_name_yet_is_respected(folder, study, content):
    folder.path.mkdir(parents=True)
    folder.lock.write_bytes(content)
    with folder.lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert f"study {study.id} is being searched by another process" in refusal(folder, study)
    with study_lock(folder, study) as lock:
        assert lock.stale is None


def test_a_driver_that_leaves_in_good_order_leaves_no_name(folder, study):
    with pytest.raises(RuntimeError), study_lock(folder, study):
        raise RuntimeError
    with study_lock(folder, study) as lock:
        assert lock.stale is None
    # The file stays: another driver may be about to lock it.
    assert folder.lock.read_bytes() == b""


def test_a_killed_driver_is_succeeded_though_a_program_that_it_started_lives_on(folder, study):
    command = [sys.executable, "-c", DRIVER, str(folder.path), json.dumps(SETTINGS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        program = int(driver.stdout.readline())
        try:
            assert f"process {driver.pid} on" in refusal(folder, study)
            driver.send_signal(signal.SIGKILL)
            driver.wait()
            with study_lock(folder, study) as lock:
                assert f"from a driver that died: process {driver.pid} on {socket.gethostname()}" in lock.stale
                assert f"process {os.getpid()} on" in refusal(folder, study)
            os.kill(program, 0)
        finally:
            os.kill(program, signal.SIGKILL)


def test_the_password_of_a_database_does_not_enter_the_file(folder, study, monkeypatch):
    url = "postgresql://ada:hunter2/hunter2@host/optuna?password=hunter2"
    monkeypatch.setattr(sys, "argv", ["fullspectrum", "search", "digits", "--set", f"tracking.storage={url}"])
    with study_lock(folder, study):
        assert "hunter2" not in folder.lock.read_text()
        assert "tracking.storage=postgresql://…" in refusal(folder, study)


def test_drivers_of_two_homes_that_share_a_sqlite_database_exclude_each_other(tmp_path):
    database = tmp_path / "optuna.db"
    study = parse(SETTINGS | {"tracking": {"storage": f"sqlite:///{database}"}})
    other = parse(SETTINGS | {"tracking": {"storage": f"sqlite:///{database}"}, "seed": 1})
    one, two = (StudyFolder(tmp_path / name / "abc") for name in ("one", "two"))
    with study_lock(one, study):
        assert f"study {study.id} is being searched by process {os.getpid()}" in refusal(two, study)
        # What it had locked before it was refused is in good order; and another study is free.
        assert two.lock.read_bytes() == b""
        with study_lock(two, other):
            pass
    with study_lock(two, study) as lock:
        assert lock.stale is None


def test_the_folder_of_a_database_is_not_made(tmp_path, folder):
    study = parse(SETTINGS | {"tracking": {"storage": f"sqlite:///{tmp_path}/mistyped/optuna.db"}})
    with study_lock(folder, study):
        assert not (tmp_path / "mistyped").exists()


def test_a_storage_that_is_no_url_is_told_in_one_line(folder):
    refused = pytest.raises(InputError, match="cannot open tracking.storage .*; expected a database URL")
    with refused, study_lock(folder, parse(SETTINGS | {"tracking": {"storage": "optuna"}})):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_in_one_line(folder, study, monkeypatch, number):
    def refuse(*_) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    message = refusal(folder, study)
    for part in (
        f"cannot lock {str(folder.lock)!r}: {os.strerror(number)}",
        "--home",
        "a file system that knows locks",
    ):
        assert part in message


def test_a_home_that_cannot_be_written_is_told_in_one_line(tmp_path, study):
    (tmp_path / "file").write_text("not a folder")
    assert "cannot lock" in refusal(StudyFolder(tmp_path / "file" / "abc"), study)


def test_the_lock_on_a_server_is_the_same_in_every_version():
    assert advisory_key("0123456789ab") == -1149182984068228099
