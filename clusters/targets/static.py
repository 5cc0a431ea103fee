"""Machines that stand already: reached by the address of their head, or started over SSH."""

import contextlib
from collections.abc import Iterator

from ..auth.token import existing_token
from ..errors import ClusterError
from ..job import Job
from .rayjobs import RayJobs
from .rented import RentedTarget


class StaticTarget(RentedTarget):
    """Hosts of `ray up`; with `hosts.address` a head that runs already, and that nobody here starts or ends."""

    def check(self, job: Job) -> None:
        """Raise ClusterError where no head answers, or it refuses the token, and for secrets that it cannot get."""
        if self._address is None:
            super().check(job)
            return
        if self.cluster.secrets:
            raise ClusterError(
                f"[secrets] reach nodes by their environment, but those of {self._address} run already; start them "
                f"with {', '.join(self.cluster.secrets)} set, and leave [secrets] out"
            )
        with self._reach() as jobs:
            jobs.probe()
            if jobs.is_open():
                self.notice(
                    f"the head at {self._address} asks for no token, so that whoever reaches it may run anything; "
                    "start it with RAY_AUTH_MODE=token"
                )

    def up(self) -> None:
        """Start Ray on the hosts, unless it runs."""
        if self._address is None:
            super().up()

    def down(self) -> None:
        """End Ray on the hosts. Raise ClusterError for a head that was not started from here."""
        if self._address:
            raise ClusterError(
                f"the cluster at {self._address} was not started by `launch`; end it where it was, by `ray stop`"
            )
        super().down()

    @contextlib.contextmanager
    def _reach(self) -> Iterator[RayJobs]:
        if self._address:
            yield RayJobs(self._address, existing_token(self.cluster))
            return
        with super()._reach() as jobs:
            yield jobs

    @property
    def _address(self) -> str | None:
        return self.cluster.hosts.address if self.cluster.hosts else None
