"""One cluster: what it is called, what its machines have, and where its searches keep their files."""

from typing import Any, Literal

from pydantic import Field

from .nodes import Node, Workers
from .section import Section

Kind = Literal["local", "static", "aws", "gcp", "kuberay", "slurm"]


class Auth(Section):
    """Who may use the cluster."""

    token_file: str | None = Field(
        None,
        description="file of the token (mode 0600), made where it is not there; default: ~/.fullspectrum/NAME.token",
    )


class Hosts(Section):
    """Machines that stand already (kind static)."""

    address: str | None = Field(None, description="http://HOST:PORT of the dashboard of a Ray head that runs already")
    head: str | None = Field(None, description="host of the head, to be started over SSH")
    workers: list[str] = Field([], description="hosts of the workers")
    user: str | None = Field(None, description="user to log in as over SSH")
    key: str | None = Field(None, description="file of the private SSH key")


class Cloud(Section):
    """Where machines are rented (kinds aws and gcp)."""

    region: str = Field(description="region, such as us-west-2 or us-central1")
    zone: str | None = Field(None, description="zone within the region")
    project: str | None = Field(None, description="project id (gcp)")
    user: str = Field("ubuntu", description="user to log in as over SSH")


class Kubernetes(Section):
    """Where pods run (kind kuberay)."""

    namespace: str = Field("default", description="namespace of the job")
    service_account: str | None = Field(None, description="service account of the pods")
    claim: str | None = Field(None, description="persistent volume claim that is mounted at `storage`")


class Slurm(Section):
    """Where batch jobs run (kind slurm)."""

    partition: str | None = Field(None, description="partition; none: the site's own default")
    account: str | None = Field(None, description="account that pays")
    setup: list[str] = Field([], description="shell lines that run first on each node, such as `module load cuda`")


class Cluster(Section):
    """A cluster, as a cluster file describes it."""

    kind: Kind = Field(description="what it is made of")
    name: str = Field(description="its name: small letters, digits and hyphens")
    image: str | None = Field(
        None, description="container image that holds Python and all packages; none: the nodes' own"
    )
    head: Node = Field(Node(), description="the node of the driver, of Ray's head, and of nothing else where cpus = 0")
    workers: list[Workers] = Field([], description="groups of worker nodes")
    environment: dict[str, str] = Field({}, description="environment variables of all nodes; no secrets")
    secrets: dict[str, str] = Field(
        {}, description="environment variables whose values are secret: env:NAME or file:PATH of this machine"
    )
    storage: str | None = Field(
        None, description="where all nodes keep a search's files: a folder that all of them see, or s3://, gs://"
    )
    tracking: str | None = Field(None, description="MLflow server; default: that of the study")
    study: str | None = Field(None, description="Optuna storage, without its password; default: that of the study")
    idle_minutes: float = Field(10, gt=0, description="minutes after which an idle node is given back")
    deadline_hours: float | None = Field(None, gt=0, description="hours after which a search is ended in good order")
    auth: Auth = Field(Auth(), description="who may use the cluster")
    hosts: Hosts | None = Field(None, description="machines that stand already (static)")
    cloud: Cloud | None = Field(None, description="where machines are rented (aws, gcp)")
    kubernetes: Kubernetes | None = Field(None, description="where pods run (kuberay)")
    slurm: Slurm | None = Field(None, description="where batch jobs run (slurm)")
    overrides: dict[str, Any] = Field(
        {}, description="what is merged into the rendered file, table by table; a list takes the place of a list"
    )
