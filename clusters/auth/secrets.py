"""The secrets of a cluster's searches: environment variables whose values stand in no file of ours."""

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import ClusterError
from ..spec.cluster import Cluster
from ..spec.secretvalues import holds_secret


def secret_values(cluster: Cluster) -> dict[str, str]:
    """Return the values of a cluster's `[secrets]` by variable.

    Raise ClusterError, which names the variable and never its value, for one that is not there.
    """
    return {name: _value(name, place) for name, place in cluster.secrets.items()}


def _value(name: str, place: str) -> str:
    kind, _, rest = place.partition(":")
    if kind == "env":
        value = os.environ.get(rest)
        if not value:
            raise ClusterError(f"[secrets] {name}: the environment variable {rest} is not set on this machine")
        return value
    try:
        text = Path(rest).expanduser().read_text()
    except OSError as error:
        raise ClusterError(f"[secrets] {name}: cannot read the file {rest!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ClusterError(f"[secrets] {name}: the file {rest!r} is no text") from None
    # Editors end a file with a line feed, which is no part of a password.
    if not (value := text.rstrip("\r\n")):
        raise ClusterError(f"[secrets] {name}: the file {rest!r} is empty")
    return value


def refuse_secrets(texts: Iterable[tuple[str, str]]) -> None:
    """Raise ClusterError for a text that holds a secret and would be seen by whoever may list jobs.

    `texts` are what each is called, and the text itself, which the message does not repeat.
    """
    for called, text in texts:
        if holds_secret(text):
            raise ClusterError(
                f"{called} holds a secret, which the cluster's list of jobs would show; name it under [secrets] of "
                'the cluster, as in PGPASSWORD = "env:PGPASSWORD", and leave it out here'
            )
