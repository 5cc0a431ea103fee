"""The folder of Ray's temporary files, in which its sockets lie."""

import os
import tempfile

#: Ray's own folder where the environment names none.
SHORT = "/tmp/ray"

#: The most bytes that the path of a socket may have on every system: 107 on Linux, 103 on macOS.
_SOCKET_PATH = 103

#: What Ray appends to the folder at most, a process id of seven digits included.
_SOCKET = "/session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store"


def usual_folder() -> str:
    """Return the folder that Ray takes by itself: in that of RAY_TMPDIR or TMPDIR, as in job folders of clusters."""
    return os.path.join(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray")


def fitting_folder() -> str | None:
    """Return a folder to start Ray in where its sockets do not fit into the usual one, as it is too long; else None.

    Nor do they in one whose path is relative, or not ASCII: Ray waits for them in vain.
    """
    usual = usual_folder()
    fits = usual.isascii() and os.path.isabs(usual) and len(usual + _SOCKET) <= _SOCKET_PATH
    return None if fits else SHORT


def make_folder() -> str:
    """Make a folder for one Ray alone, which only this user may enter, and return it: in the usual one's, or /tmp."""
    parent = os.path.dirname(fitting_folder() or usual_folder())
    # `fitting_folder` looks at the name `ray`, which is shorter.
    if len(parent) + len("/ray-12345678") + len(_SOCKET) > _SOCKET_PATH:
        parent = os.path.dirname(SHORT)
    return tempfile.mkdtemp(prefix="ray-", dir=parent)
