"""Where a cluster is: a table for each kind that needs one."""

from typing import Self

from pydantic import Field, model_validator

from .section import Section


class Hosts(Section):
    """Machines that stand already (kind static)."""

    address: str | None = Field(
        None,
        pattern=r"^https?://[^/@\s]+:\d+/?$",
        description="http://HOST:PORT of the dashboard of a Ray head that runs already",
    )
    head: str | None = Field(None, min_length=1, description="host of the head, to be started over SSH")
    workers: list[str] = Field([], description="hosts of the workers, to be started over SSH")
    user: str | None = Field(None, min_length=1, description="user to log in as over SSH")
    key: str | None = Field(None, min_length=1, description="file of the private SSH key; none: what SSH finds")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.address is None) == (self.head is None):
            given = "both are given" if self.address else "neither is given"
            raise ValueError(
                f"{given}: expected address of a Ray head that runs already, or head, a host to start one on"
            )
        if self.address and (self.workers or self.user or self.key):
            raise ValueError("address names a cluster that runs already; leave workers, user and key out")
        if self.head and not self.user:
            raise ValueError("user is missing: whom to log in as over SSH")
        if len({self.head, *self.workers}) <= len(self.workers):
            raise ValueError(f"workers = {self.workers} with head = {self.head!r}: a host is named twice")
        return self


class Cloud(Section):
    """Where machines are rented (kinds aws and gcp)."""

    region: str = Field(min_length=1, description="region, such as us-west-2 or us-central1")
    zone: str | None = Field(None, min_length=1, description="zone within the region; gcp needs it")
    project: str | None = Field(None, min_length=1, description="project id; gcp needs it")
    boot_image: str | None = Field(
        None,
        min_length=1,
        description="image that machines boot from, with Docker and the driver of the GPUs: an AMI (none: Ray's own "
        "choice), or projects/PROJECT/global/images/family/FAMILY, which gcp needs",
    )
    disk_gib: int = Field(150, ge=30, description="GiB of the disk of one machine, which holds the container image")
    user: str = Field("ubuntu", min_length=1, description="user to log in as over SSH")
    setup: list[str] = Field(
        [], description="shell lines that run first on each machine, outside its container, such as mounts"
    )


class Kubernetes(Section):
    """Where pods run (kind kuberay)."""

    namespace: str = Field(
        "default", pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63, description="namespace of the job"
    )
    service_account: str | None = Field(None, min_length=1, description="service account of the pods")
    claim: str | None = Field(
        None, min_length=1, description="persistent volume claim (ReadWriteMany) that is mounted at `storage`"
    )
    keep_minutes: int = Field(10, ge=0, description="minutes that a finished job and its pods are kept for a look")


class Slurm(Section):
    """Where batch jobs run (kind slurm)."""

    partition: str | None = Field(None, min_length=1, description="partition; none: the site's own default")
    account: str | None = Field(None, min_length=1, description="account that pays")
    setup: list[str] = Field([], description="shell lines that run first on each node, such as `module load cuda`")
