"""The token of a cluster, which each node and each client must have."""

import os
import secrets
import stat
from pathlib import Path

from ..errors import ClusterError
from ..secretfiles import FOLDER, token_file
from ..spec.cluster import Cluster


def known_of(cluster: Cluster) -> Path:
    """Return the folder of what this machine knows of a cluster, such as what `clusters down` ends; it is made.

    It is for its owner alone.
    """
    folder = Path(FOLDER).expanduser() / cluster.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def make_token(cluster: Cluster) -> Path:
    """Return the file of the token of a cluster; a random one is made where there is none. Raise ClusterError."""
    file = token_file(cluster)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Never readable by others, not even for a moment.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return existing_token(cluster)
    except OSError as error:
        raise ClusterError(f"cannot write the token file {str(file)!r}: {error.strerror}") from None
    with os.fdopen(descriptor, "w") as written:
        written.write(secrets.token_hex(32))
    return file


def existing_token(cluster: Cluster) -> Path:
    """Return the file of the token of a cluster that stands already.

    Raise ClusterError where it is missing, empty, or readable by others.
    """
    file = token_file(cluster)
    try:
        mode = file.stat().st_mode
        text = file.read_text().strip()
    except FileNotFoundError:
        raise ClusterError(
            f"there is no token of cluster {cluster.name!r} in {str(file)!r}; copy that of its head there, for you "
            "alone (chmod 600), or name the file under [auth] token_file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"cannot read the token file {str(file)!r}: {error}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ClusterError(
            f"the token file {str(file)!r} is open to others (mode {stat.S_IMODE(mode):04o}); chmod 600 it, and choose "
            "another token where somebody may have read it"
        )
    if not text:
        raise ClusterError(f"the token file {str(file)!r} is empty; delete it, and a new token is made")
    return file
