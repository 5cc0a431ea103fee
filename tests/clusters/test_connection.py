"""Connecting to Ray: clear lines for addresses where nothing answers, and nothing left running."""

import socket
import time

import pytest
import ray
from fullspectrum.clusters.connection import CONNECT_TIMEOUT, ClusterError, connect


def mistake(address: str) -> str:
    """The message of the error that connecting to `address` raises; always one line."""
    with pytest.raises(ClusterError) as caught, connect(address):
        pass
    message = str(caught.value)
    assert message and "\n" not in message
    assert repr(address) in message
    assert not ray.is_initialized()
    return message


@pytest.mark.parametrize(
    "address",
    ["", "head", "head:", ":6379", "head:port", "head:99999999", "ray://", "ray://head", "ray://:10001", "[::1"],
)
def test_an_address_that_is_none_is_refused_with_the_forms_there_are(address):
    message = mistake(address)
    assert message.startswith("--address ")
    assert message.endswith("expected HOST:PORT, ray://HOST:PORT or auto")


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
    for part in ("no Ray cluster answers at", "ray start --head", "leave --address out"):
        assert part in message


def test_a_host_that_has_no_address_is_told_in_one_line():
    # RFC 2606: no name under .invalid is ever given an address.
    assert "no Ray cluster answers at" in mistake("head.invalid:6379")


def test_a_cluster_error_is_the_users_to_mend():
    assert issubclass(ClusterError, ValueError)


@pytest.mark.timeout(180)
def test_without_an_address_ray_runs_here_and_is_stopped_on_leaving():
    with connect():
        assert ray.is_initialized()
        assert ray.cluster_resources()["CPU"] >= 1
        assert "GPU" not in ray.cluster_resources()
        assert ray.get(ray.remote(num_cpus=1)(lambda: 6 * 7).remote()) == 42
    assert not ray.is_initialized()


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
