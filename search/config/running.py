"""The tables that only say where and how a study runs: no part of its id, and new ones are taken when it is resumed."""

from typing import Self

from pydantic import Field, model_validator

from .searchable import Section
from .stages import Fraction


class Resources(Section):
    """The resources that each trial holds while it runs."""

    cpus: int = Field(1, ge=1, description="CPU cores a trial")
    gpus: float = Field(0.0, ge=0, description="GPUs a trial; a fraction shares one GPU among trials")
    accelerator: str | None = Field(
        None, min_length=1, description="type of GPU to run on, as Ray names it, such as T4, A100, H100; none: any"
    )
    scoring_cpus: int | None = Field(
        None,
        ge=1,
        description="CPU cores a trial while its candidates are scored, without a GPU and on nodes without one where "
        "there are any; only past the gate it takes the resources above; none: it holds those from its start on",
    )

    @model_validator(mode="after")
    def _scoring_frees_something(self) -> Self:
        if self.scoring_cpus is not None and not self.gpus and self.accelerator is None:
            raise ValueError(
                f"scoring_cpus = {self.scoring_cpus} frees GPUs while trials are scored, but gpus = 0; set gpus, or "
                "leave scoring_cpus out"
            )
        return self

    @property
    def while_scoring(self) -> "Resources":
        """The resources of a trial while it is scored apart from its training."""
        return Resources(cpus=self.scoring_cpus or self.cpus)

    @property
    def on_cpu(self) -> "Resources":
        """The resources of a trial without its GPU."""
        return Resources(cpus=self.cpus)


class Faults(Section):
    """The faults that a search survives, and those at which it stops."""

    retries: int = Field(2, ge=0, description="times a trial or a full training goes on after its worker has died")
    max_failures: int | None = Field(None, ge=1, description="failed trials at which the search stops; none: no limit")
    failure_fraction: Fraction = Field(
        0.5, description="fraction of ended trials (10 at least) that may have failed; more stops the search"
    )
    restarts: int = Field(3, ge=0, description="times in a row that a crashed driver starts anew without a trial's end")
    checkpoint_seconds: float = Field(60.0, ge=0, description="seconds of training between two checkpoints")
    grace_seconds: float = Field(
        20.0, ge=0, description="seconds that running work has to leave after Ctrl-C or SIGTERM"
    )


class Record(Section):
    """What is recorded beside the results."""

    coordinate_every: int = Field(
        0,
        ge=0,
        description="of a mask that changes in a full training: iterations between two coordinates of it; 0 for none",
    )


class Tracking(Section):
    """Where the record goes."""

    mlflow: str | None = Field(
        None, description="MLflow tracking URI; default: MLFLOW_TRACKING_URI, without it SQLite under the home folder"
    )
    storage: str | None = Field(None, description="Optuna storage URL; default: a journal file under the home folder")
    files: str | None = Field(
        None,
        description="s3://BUCKET/PREFIX, gs:// or file://, through which machines share a study's files; default: the "
        "home folder, which all of them see",
    )
