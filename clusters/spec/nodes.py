"""The machines of a cluster."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from .section import Section

#: A name that every platform takes: Kubernetes, the labels of clouds, host names, job names.
LABEL = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"

#: The name of a group of workers, which the names of its machines contain.
GroupName = Annotated[str, StringConstraints(pattern=LABEL, max_length=20)]


class Node(Section):
    """What one machine has."""

    cpus: int = Field(4, ge=1, description="CPU cores of one node")
    gpus: int = Field(0, ge=0, description="GPUs of one node")
    memory_gib: int | None = Field(None, ge=1, description="GiB of memory of one node; none: what the machine has")
    accelerator: str | None = Field(
        None, min_length=1, description="type of its GPUs as Ray names it, such as A10G, A100, H100"
    )
    machine: str | None = Field(
        None, min_length=1, description="machine type of the cloud, such as g5.4xlarge or n1-standard-8"
    )
    price: float | None = Field(None, ge=0, description="price of one node an hour, in any currency; for `plan`")

    @model_validator(mode="after")
    def _accelerated(self) -> Self:
        if self.accelerator and not self.gpus:
            raise ValueError(f'accelerator = "{self.accelerator}" needs GPUs, but gpus = 0; set gpus, or leave it out')
        return self


class Head(Node):
    """The node of the driver and of Ray's head."""

    trials: bool = Field(
        False, description="whether trials run on the head too; they always do where there are no workers"
    )


class Workers(Node):
    """A group of equal worker nodes."""

    name: GroupName = Field("workers", description="name of the group: small letters, digits and hyphens")
    least: int = Field(0, ge=0, description="nodes that are always there")
    most: int = Field(1, ge=1, description="nodes that the group may grow to")
    spot: bool = Field(False, description="take machines that the cloud may take back at any time, at a lower price")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.most < self.least:
            raise ValueError(f"most = {self.most} is less than least = {self.least}; set most to {self.least} or more")
        return self
