"""A connection to Ray, on this machine or at an address."""

import contextlib
import gc
import logging
import os
import socket
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

#: Seconds within which a cluster's head node must answer.
CONNECT_TIMEOUT = 5.0


class ClusterError(ValueError):
    """A cluster that cannot be reached, in one line."""


@contextlib.contextmanager
def connect(address: str | None = None) -> Iterator[None]:
    """Connect to the Ray cluster at `address` ("host:port", "ray://host:port" or "auto"); without one start Ray here.

    On leaving, disconnect, and stop a Ray that was started here. Raise ClusterError when no cluster answers at the
    address.
    """
    # By default Ray reports its use to its makers, and warns of a coming change in how it hides GPUs.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
    if address is None:
        # Without "local", Ray joins any cluster that somebody has started on this machine.
        start(address="local", include_dashboard=False)
    else:
        _probe(address)
        try:
            start(address=address)
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ClusterError(
                f"cannot join the Ray cluster at {address!r}: {reason}; is it running, and is RAY_AUTH_TOKEN_PATH set "
                "where it asks for a token?"
            ) from error
    try:
        yield
    finally:
        # Ray ends the process when a reference to one of its objects is dropped in another thread while it connects
        # anew. Tune leaves such references in cycles, so they are collected while there is still a connection.
        gc.collect()
        ray.shutdown()


def _probe(address: str) -> None:
    """Raise ClusterError where no server listens at `address`: Ray itself would retry for minutes."""
    if address == "auto":
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ClusterError(f"--address {address!r}: expected HOST:PORT, ray://HOST:PORT or auto")
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT).close()
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster answers at {address!r} ({error.strerror or error}); start one with "
            "`ray start --head`, or leave --address out, and RAY_ADDRESS unset, to run on this machine"
        ) from None
