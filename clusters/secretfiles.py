"""Where this machine keeps a cluster's token and secrets, in files that only their owner reads."""

import contextlib
import os
from pathlib import Path

from .errors import ClusterError
from .spec.cluster import Cluster

#: The folder of what is the user's, and no search's.
FOLDER = "~/.fullspectrum"


def token_file(cluster: Cluster) -> Path:
    """Return the file of a cluster's token, which need not be there."""
    return Path(cluster.auth.token_file or f"{FOLDER}/{cluster.name}.token").expanduser().absolute()


def secret_file(cluster: Cluster, variable: str) -> Path:
    """Return the file of a secret: the one that the cluster file names, or where `keep_secrets` puts it."""
    source, _, name = cluster.secrets[variable].partition(":")
    if source == "file":
        return Path(name).expanduser().absolute()
    return Path(f"{FOLDER}/{cluster.name}.secrets/{variable}").expanduser()


def secret_values(cluster: Cluster) -> dict[str, str]:
    """Return the values of a cluster's secrets by variable, without the newline that ends a file.

    Raise ClusterError for a variable that is not set, or a file that cannot be read.
    """
    found = {}
    for variable, reference in cluster.secrets.items():
        source, _, name = reference.partition(":")
        if source == "env":
            if not os.environ.get(name):
                raise ClusterError(f"secrets.{variable} = {reference!r}: {name} is not set; export it first")
            found[variable] = os.environ[name]
            continue
        try:
            found[variable] = Path(name).expanduser().read_text().rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ClusterError(f"secrets.{variable} = {reference!r}: cannot read the file: {reason}") from None
    return found


def keep_secrets(cluster: Cluster) -> None:
    """Write the secrets that the environment holds into files (mode 0600), from which nodes get them.

    Raise ClusterError as `secret_values` does, and then nothing is written.
    """
    values = secret_values(cluster)
    for variable, reference in cluster.secrets.items():
        if reference.startswith("env:"):
            _write(secret_file(cluster, variable), values[variable])


def _write(path: Path, value: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never for a moment readable by others.
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(value)
        fresh.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
