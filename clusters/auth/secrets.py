"""Secrets that would be seen by whoever may list jobs."""

from collections.abc import Iterable

from ..errors import ClusterError
from ..spec.secretvalues import holds_secret


def refuse_secrets(texts: Iterable[tuple[str, str]]) -> None:
    """Raise ClusterError for a text that holds a secret: it would stand in the cluster's list of jobs.

    `texts` are what each is called, and the text itself, which the message does not repeat.
    """
    for called, text in texts:
        if holds_secret(text):
            raise ClusterError(
                f"{called} holds a secret, which the cluster's list of jobs would show; name it under [secrets] of "
                'the cluster, as in PGPASSWORD = "env:PGPASSWORD", and leave it out here'
            )
