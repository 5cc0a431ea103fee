"""Connecting to Ray: clear lines for addresses where nothing answers, and nothing left running."""

import os
import socket
import time

import pytest
import ray
from fullspectrum.clusters.connection import CONNECT_TIMEOUT, connect
from fullspectrum.clusters.errors import ClusterError


def mistake(address: str) -> str:
    """The message of the error that connecting to `address` raises; always one line."""
    with pytest.raises(ClusterError) as caught, connect(address):
        pass
    message = str(caught.value)
    assert message and "\n" not in message
    assert repr(address) in message
    assert not ray.is_initialized()
    return message


@pytest.fixture
def starts(monkeypatch) -> list[dict]:
    """What Ray is asked to start with; nothing is started."""
    asked = []
    monkeypatch.setattr(ray, "init", lambda **settings: asked.append(settings))
    return asked


@pytest.fixture
def failing(monkeypatch):
    """Lets every start of Ray fail with an error."""

    def fail(error: Exception) -> None:
        def init(**settings):
            raise error

        monkeypatch.setattr(ray, "init", init)

    return fail


@pytest.mark.parametrize(
    "address",
    ["", "head", "head:", ":6379", "head:port", "head:99999999", "ray://", "ray://head", "ray://:10001", "[::1"],
)
def test_an_address_that_is_none_is_refused_with_the_forms_there_are(address):
    message = mistake(address)
    assert message.startswith("--address ")
    assert message.endswith("expected HOST:PORT, ray://HOST:PORT, auto or local")


@pytest.fixture
def dead_port() -> int:
    """A port of this machine that nobody listens on: bound, so that nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_is_not_there_is_told_at_once(dead_port, scheme):
    started = time.monotonic()
    message = mistake(f"{scheme}127.0.0.1:{dead_port}")
    # Ray would try for minutes; two seconds more are left to a busy machine.
    assert time.monotonic() - started < CONNECT_TIMEOUT + 2
    for part in ("no Ray cluster answers at --address", "ray start --head", "leave --address out"):
        assert part in message


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "nonsense", "auto"])
def test_an_address_that_came_from_the_environment_is_blamed_on_it(dead_port, monkeypatch, failing, tmp_path, address):
    address = address.format(port=dead_port)
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    failing(ConnectionError("Could not find any running Ray instance. Please specify one by setting `--address` flag."))
    message = mistake(address)
    assert f"RAY_ADDRESS {address!r}" in message and "--address" not in message


def test_a_dead_cluster_that_rays_folder_still_names_is_told_at_once(dead_port, monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{dead_port}\n")
    assert f"127.0.0.1:{dead_port}: Connection refused" in mistake("auto")


def test_a_cluster_of_another_version_is_told_in_one_line_with_both_versions(failing):
    failing(
        RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 1.0\nThis process with:\n    Ray: 2.0")
    )
    with socket.create_server(("127.0.0.1", 0)) as head:
        message = mistake(f"127.0.0.1:{head.getsockname()[1]}")
    assert "cluster was started with: Ray: 1.0 This process with: Ray: 2.0" in message


def test_a_host_that_has_no_address_is_told_in_one_line():
    # RFC 2606: no name under .invalid is ever given an address.
    assert "no Ray cluster answers at" in mistake("head.invalid:6379")


def test_a_cluster_error_is_the_users_to_mend():
    assert issubclass(ClusterError, ValueError)


@pytest.mark.timeout(180)
def test_without_an_address_ray_runs_here_and_is_stopped_on_leaving(tmp_path, monkeypatch):
    # As in the job folders of clusters: too long for Ray's sockets.
    (tmp_path / (70 * "x")).mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / (70 * "x")))
    with connect() as here:
        assert here and ray.is_initialized()
        assert ray.cluster_resources()["CPU"] >= 1
        assert "GPU" not in ray.cluster_resources()
        assert ray.get(ray.remote(num_cpus=1)(lambda: 6 * 7).remote()) == 42
    assert not ray.is_initialized()


@pytest.mark.parametrize("address", [None, "local"])
def test_a_ray_of_this_machine_takes_a_port_that_is_free(starts, monkeypatch, address):
    monkeypatch.setenv("RAY_GCS_SERVER_PORT", "6379")
    with connect(address) as here:
        assert here and "RAY_GCS_SERVER_PORT" not in os.environ
    assert [start["address"] for start in starts] == ["local"]


LONGEST = "/" + 34 * "x"


@pytest.mark.parametrize(
    ("folder", "given"),
    [
        ("/tmp/job", None),
        # With "/ray" 39 bytes, to which Ray adds at most 64; the path of a socket has 103 on macOS.
        (LONGEST, None),
        (LONGEST + "x", "/tmp/ray"),
        (f"/scratch/{70 * 'x'}", "/tmp/ray"),
        ("job", "/tmp/ray"),
        ("/tmp/jöb", "/tmp/ray"),
    ],
)
def test_ray_gets_a_short_folder_where_its_sockets_do_not_fit_into_that_of_the_job(starts, monkeypatch, folder, given):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", folder)
    with connect():
        pass
    assert [start["_temp_dir"] for start in starts] == [given]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied", "/scratch/ray"), "Permission denied: '/scratch/ray'"),
        (
            ValueError("The configured object store size (12 GB) exceeds /dev/shm size (0.06 GB)."),
            "/dev/shm size (0.06",
        ),
        (
            RuntimeError("Failed to start GCS.  Last 2 lines of error files:\n" + 99 * "line\n"),
            "Failed to start GCS. Last",
        ),
        (Exception("The current node timed out during startup."), "timed out during startup; it needs room"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_ray_that_does_not_start_is_one_line_with_the_way_out(failing, monkeypatch, error, reason):
    monkeypatch.setenv("RAY_TMPDIR", "/scratch")
    failing(error)
    with pytest.raises(ClusterError) as caught, connect():
        pass
    message = str(caught.value)
    assert message.startswith("Ray does not start on this machine: ") and reason in message
    assert message.endswith("it needs room in /dev/shm and in '/scratch/ray', which RAY_TMPDIR changes")
    assert len(message) < 600 and "\n" not in message


@pytest.mark.timeout(180)
def test_ray_is_stopped_where_the_work_raised():
    class Broken(Exception):
        pass

    with pytest.raises(Broken), connect():
        raise Broken
    assert not ray.is_initialized()


@pytest.mark.timeout(120)
def test_without_an_address_ray_starts_here_and_joins_nobody(dead_port, monkeypatch):
    # What a Ray job sets; --address reads it.
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{dead_port}")
    with connect():
        assert ray.is_initialized()
        assert len(ray.nodes()) == 1
    assert not ray.is_initialized()
