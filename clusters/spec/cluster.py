"""One cluster: what it is called, what its machines have, and where its searches keep their files."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from .machines import check_machine
from .nodes import LABEL, Head, Workers
from .places import Cloud, Hosts, Kubernetes, Slurm
from .secretvalues import secret_places
from .section import Section

Kind = Literal["local", "static", "aws", "gcp", "kuberay", "slurm"]

#: The most characters of a name. GCP has 63 for a machine, whose name adds 28 to that of its cluster.
_LONGEST = 35

#: The name of an environment variable.
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

#: The kinds that each table belongs to.
_TABLES: dict[str, tuple[Kind, ...]] = {
    "hosts": ("static",),
    "cloud": ("aws", "gcp"),
    "kubernetes": ("kuberay",),
    "slurm": ("slurm",),
}

#: The tables that a kind cannot do without.
_NEEDED: dict[Kind, str] = {"static": "hosts", "aws": "cloud", "gcp": "cloud"}

#: Variables that are set for every node by the cluster itself.
_OURS = {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}


class Auth(Section):
    """Who may use the cluster."""

    token_file: str | None = Field(
        None,
        min_length=1,
        description="file of the token (mode 0600), made where it is not there; none: ~/.fullspectrum/NAME.token",
    )


class Cluster(Section):
    """A cluster, as a cluster file describes it."""

    kind: Kind = Field(description="what it is made of")
    name: Annotated[str, StringConstraints(pattern=LABEL, max_length=_LONGEST)] = Field(
        description="its name: small letters, digits and hyphens, a letter first, at most 35"
    )
    image: str | None = Field(
        None, min_length=1, description="container image that holds Python and all packages; none: the nodes' own"
    )
    storage: str | None = Field(
        None,
        pattern=r"^(/|s3://[^/]|gs://[^/])\S*$",
        description="where all nodes keep a search's files: a folder that all of them see, or s3://, gs://",
    )
    tracking: str | None = Field(
        None, pattern=r"^https?://\S+$", description="MLflow server; none: what the study says"
    )
    study: str | None = Field(
        None,
        pattern=r"^(postgresql|mysql)(\+\w+)?://\S+$",
        description="database of the study, without its password; none: what the study says",
    )
    environment: dict[_Variable, str] = Field({}, description="environment variables of all nodes; no secrets")
    secrets: dict[_Variable, Annotated[str, StringConstraints(pattern=r"^(env:[A-Za-z_]\w*|file:.+)$")]] = Field(
        {}, description="environment variables whose values are secret: env:NAME or file:PATH of this machine"
    )
    idle_minutes: float = Field(10, gt=0, description="minutes after which an idle node is given back")
    deadline_hours: float | None = Field(None, gt=0, description="hours after which a search is ended in good order")
    retries: int = Field(3, ge=0, description="times that the platform starts a failed search again, which goes on")
    overrides: dict[str, Any] = Field(
        {}, description="what is merged into the rendered file, table by table; a list takes the place of a list"
    )
    auth: Auth = Field(Auth(), description="who may use the cluster")
    head: Head = Field(Head(), description="the node of the driver and of Ray's head")
    workers: list[Workers] = Field([], description="groups of worker nodes, a [[workers]] each")
    hosts: Hosts | None = Field(None, description="machines that stand already (static)")
    cloud: Cloud | None = Field(None, description="where machines are rented (aws, gcp)")
    kubernetes: Kubernetes | None = Field(None, description="where pods run (kuberay)")
    slurm: Slurm | None = Field(None, description="where batch jobs run (slurm)")

    @property
    def object_store(self) -> bool:
        """Whether `storage` is an object store, and no folder."""
        return self.storage is not None and "://" in self.storage

    @property
    def most_workers(self) -> int:
        """The worker nodes that the cluster may grow to."""
        return sum(group.most for group in self.workers)

    @property
    def trials_on_head(self) -> bool:
        """Whether the head runs trials: where it is told to, and where nobody else can."""
        return self.head.trials or not self.workers

    @model_validator(mode="before")
    @classmethod
    def _without_secrets(cls, values: Any) -> Any:
        # Before types and forms are checked: those messages quote what was given.
        if not isinstance(values, dict):
            return values
        checked = {key: value for key, value in values.items() if key != "secrets"}
        for place in secret_places(checked):
            raise ValueError(
                f"{place} holds a secret, which has no place in a file; name where it is under [secrets], as in "
                f'{_variable(place)} = "env:{_variable(place)}" or "file:PATH"'
            )
        return values

    @model_validator(mode="after")
    def _tables_of_its_kind(self) -> Self:
        for table, kinds in _TABLES.items():
            if getattr(self, table) is not None and self.kind not in kinds:
                raise ValueError(f'[{table}] is for kind {" and ".join(kinds)}, but kind = "{self.kind}"; leave it out')
        needed = _NEEDED.get(self.kind)
        if needed and getattr(self, needed) is None:
            field = type(self).model_fields[needed]
            raise ValueError(f'[{needed}] is missing, which kind = "{self.kind}" needs: {field.description}')
        return self

    @model_validator(mode="after")
    def _kinds_differ(self) -> Self:
        match self.kind:
            case "local":
                for name in ("image", "workers", "overrides"):
                    if getattr(self, name):
                        raise ValueError(f'{name} is not for kind = "local", which is this machine alone; leave it out')
            case "static":
                self._check_hosts()
            case "aws" | "gcp":
                self._check_cloud()
            case "kuberay":
                self._check_pods()
        return self

    @model_validator(mode="after")
    def _groups_differ(self) -> Self:
        names = ["head", *(group.name for group in self.workers)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'workers: the name "{twice}" is taken; name each group differently, and none head')
        if both := self.environment.keys() & self.secrets.keys():
            raise ValueError(f"{min(both)} stands under [environment] and under [secrets]; leave one of them out")
        if ours := _OURS & (self.environment.keys() | self.secrets.keys()):
            raise ValueError(f"{min(ours)} is set by the cluster itself; set [auth] token_file to choose the token")
        if self.kind not in ("aws", "gcp") and (spot := [group.name for group in self.workers if group.spot]):
            raise ValueError(f'workers "{spot[0]}": spot = true is for kind aws and gcp, but kind = "{self.kind}"')
        return self

    def _check_hosts(self) -> None:
        assert self.hosts
        if self.hosts.address and (self.image or self.overrides):
            raise ValueError("[hosts] address names a cluster that runs already; leave image and overrides out")

        if self.hosts.head and self.most_workers != len(self.hosts.workers):
            raise ValueError(
                f"the groups of workers have {self.most_workers} nodes at most, but hosts names "
                f"{len(self.hosts.workers)} workers; describe each under [[workers]], and set most to their number"
            )

    def _check_cloud(self) -> None:
        assert self.cloud
        if self.kind == "gcp":
            for name in ("zone", "project", "boot_image"):
                if getattr(self.cloud, name) is None:
                    raise ValueError(f'[cloud] {name} is missing, which kind = "gcp" needs')
        for where, node in (("head", self.head), *((f'workers "{group.name}"', group) for group in self.workers)):
            try:
                check_machine(self.kind, node)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
        if not self.workers:
            raise ValueError("workers are missing: describe a group of machines under [[workers]]")

    def _check_pods(self) -> None:
        if self.image is None:
            raise ValueError('image is missing, which kind = "kuberay" needs: pods have nothing of their own')
        for where, node in (("head", self.head), *((f'workers "{group.name}"', group) for group in self.workers)):
            if node.memory_gib is None:
                raise ValueError(f"{where}: memory_gib is missing, which a pod needs")
            if node.machine:
                raise ValueError(f'{where}: machine = "{node.machine}" is for clouds; select nodes by overrides')
        claim = self.kubernetes and self.kubernetes.claim
        if claim and not (self.storage or "").startswith("/"):
            raise ValueError(
                f'[kubernetes] claim = "{claim}" is mounted at storage, which must be a folder, as in '
                'storage = "/mnt/shared"'
            )


def _variable(place: str) -> str:
    """Return the name of the variable that a place calls for."""
    last = place.removesuffix(".value").rpartition(".")[2]
    return last if re.fullmatch(r"[A-Z][A-Z0-9_]*", last) else "PGPASSWORD" if place == "study" else "NAME"
