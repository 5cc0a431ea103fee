"""A connection to Ray, on this machine or at an address."""

import contextlib
import gc
import logging
import os
import socket
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import ClusterError
from .tempfolder import fitting_folder, usual_folder

#: Seconds within which a cluster's head node must answer.
CONNECT_TIMEOUT = 5.0

#: The address of a Ray that is started on this machine, as Ray spells it.
HERE = "local"


@contextlib.contextmanager
def connect(address: str | None = None) -> Iterator[bool]:
    """Connect to the Ray cluster at `address` ("host:port", "ray://host:port" or "auto"); yield whether Ray runs here.

    Without an address, or at "local", start a Ray on this machine that nobody else uses, and stop it on leaving.
    Otherwise disconnect on leaving. Raise ClusterError when no cluster answers at the address, and when Ray does not
    start.
    """
    # By default Ray reports its use to its makers, and warns of a coming change in how it hides GPUs.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Nor does it ask for a token where it shows its metrics; without a port it does not show them.
    for setting in ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT"):
        os.environ.setdefault(setting, "-1")
    cluster = None if address == HERE else address
    if cluster is not None:
        _probe(cluster)
    import ray

    start = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True)
    if cluster is None:
        _start_here(start)
    else:
        _join(start, cluster)
    try:
        yield cluster is None
    finally:
        # Ray ends the process when a reference to one of its objects is dropped in another thread while it connects
        # anew. Tune leaves such references in cycles, so they are collected while there is still a connection.
        gc.collect()
        ray.shutdown()


def _start_here(start: Callable[..., Any]) -> None:
    # The port of a cluster's head, where the environment fixes it, may be taken; a Ray of our own takes a free one.
    os.environ.pop("RAY_GCS_SERVER_PORT", None)
    folder = fitting_folder()
    try:
        # Without "local", Ray joins any cluster that somebody has started on this machine.
        start(address=HERE, include_dashboard=False, _temp_dir=folder)
    except Exception as error:
        raise ClusterError(
            f"Ray does not start on this machine: {_reason(error)}; it needs room in /dev/shm and in "
            f"{folder or usual_folder()!r}, which RAY_TMPDIR changes"
        ) from error


def _join(start: Callable[..., Any], address: str) -> None:
    try:
        start(address=address)
    except ConnectionError as error:
        raise _unanswered(address, "none runs on this machine" if address == "auto" else _reason(error)) from error
    except Exception as error:
        raise ClusterError(
            f"cannot join the Ray cluster at {address!r}: {_reason(error)}; is it running, has it the versions of Ray "
            "and Python of this machine, and is RAY_AUTH_TOKEN_PATH set where it asks for a token?"
        ) from error


def _probe(address: str) -> None:
    """Raise ClusterError where no server listens at `address`: Ray itself would retry for minutes."""
    named = address
    if address == "auto":
        # Ray keeps the address of the last cluster here, also after that has died; where there is none it searches.
        with contextlib.suppress(OSError, UnicodeDecodeError):
            named = Path(usual_folder(), "ray_current_cluster").read_text().strip()
        if named in ("auto", ""):
            return
    try:
        parts = urlsplit(named if "://" in named else f"//{named}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ClusterError(f"{_origin(address)} {address!r}: expected HOST:PORT, ray://HOST:PORT, auto or {HERE}")
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT).close()
    except (OSError, UnicodeError) as error:
        # UnicodeError: a host with an empty part, or a very long one.
        reason = getattr(error, "strerror", None) or str(error)
        raise _unanswered(address, reason if named == address else f"{named}: {reason}") from None


def _unanswered(address: str, reason: str) -> ClusterError:
    leave = "unset RAY_ADDRESS" if _origin(address) == "RAY_ADDRESS" else "leave --address out"
    return ClusterError(
        f"no Ray cluster answers at {_origin(address)} {address!r} ({reason}); start one with `ray start --head`, or "
        f"{leave} to run on this machine"
    )


def _origin(address: str) -> str:
    """Return what a user changes to change the address."""
    return "RAY_ADDRESS" if os.environ.get("RAY_ADDRESS") == address else "--address"


def _reason(error: Exception) -> str:
    """Return what Ray says of an error, in one line: it may quote pages of its log files."""
    return textwrap.shorten(str(error), 400, placeholder=" …").rstrip(". ") or type(error).__name__
