"""The machines of a cluster."""

from typing import Self

from pydantic import Field, model_validator

from .section import Section


class Node(Section):
    """What one machine has."""

    cpus: int = Field(4, ge=1, description="CPU cores of one node")
    gpus: int = Field(0, ge=0, description="GPUs of one node")
    memory_gib: int | None = Field(None, ge=1, description="memory of one node; none: what the machine has")
    accelerator: str | None = Field(None, description="type of its GPUs as Ray names it, such as A10G, A100, H100")
    machine: str | None = Field(None, description="machine type of the cloud, such as g5.4xlarge or n1-standard-8")
    price: float | None = Field(None, ge=0, description="price of one node an hour, in any currency; for `plan`")


class Workers(Node):
    """A group of equal worker nodes."""

    name: str = Field("workers", description="name of the group")
    least: int = Field(0, ge=0, description="nodes that are always there")
    most: int = Field(1, ge=1, description="nodes that the cluster may grow to")
    spot: bool = Field(False, description="take machines that the cloud may take back at any time, at a lower price")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.most < self.least:
            raise ValueError(f"most = {self.most} is less than least = {self.least}; set most to {self.least} or more")
        return self
