"""A study's configuration: every setting with its unit, range and default, read from TOML."""

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ...models.errors import InputError
from ...models.training import Recipe
from ...spectral.objectives import OBJECTIVES
from ..sampling.allocation import BASES
from ..sources import KNOWN, source
from .searchable import Range, Searchable, Section, form, searchable


class ConfigError(InputError):
    """A setting that cannot be used, in one line that names it."""


Sparsity = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Search(Searchable):
    """What is proposed, and how many candidates."""

    trials: int = Field(100, ge=1, description="number of trials")
    samples_per_trial: int = Field(8, ge=1, le=4096, description="candidate masks drawn in a trial; the best goes on")
    draw: Literal["whole", "per_layer"] = Field(
        "whole", description="per_layer adds one candidate to a trial: each layer from its best draw"
    )
    sampler: Literal["tpe", "cmaes", "nsga2", "qmc", "random"] = Field(
        "tpe",
        description="Optuna sampler that proposes trials; cmaes and qmc draw the source uniformly, a study for each",
    )
    sources: list[str] = Field(
        ["random", "magnitude", "snip"], min_length=1, description="mask sources to choose from: " + ", ".join(KNOWN)
    )
    temperature: searchable(Annotated[float, Field(ge=0)]) = Field(
        Range(low=0.05, high=2.0, log=True), description="Gumbel temperature of the draw, >= 0; 0 is the source's top-k"
    )
    batches: int = Field(4, ge=1, le=1000, description="number of different training batches a data-driven source sees")
    images_per_class: int = Field(
        10, ge=1, description="training images of each class in such a batch; more than 256 in all are scored in pieces"
    )
    rounds: int = Field(100, ge=1, description="rounds in which an iterative source removes weights")
    allocation: searchable(Literal[BASES]) = Field(
        "erk",
        description="base of the layerwise sparsity; lamp ranks initial weights, global is the source's own ranking",
    )
    keep_dense: list[str] = Field(
        [], description="parameters that are kept whole, by name or pattern (conv1, *.downsample.*)"
    )
    theta: Literal["layer", "stage", "none"] = Field("layer", description="what is searched on top of the base")
    theta_range: float = Field(0.5, gt=0, le=5, description="trust region: greatest |theta|, a log-density factor")
    min_kept_per_output: float = Field(1.0, ge=0, description="floor of each layer: kept weights per output on average")
    max_concurrent: int = Field(8, ge=1, description="trials that run at once, as far as the resources go")

    @model_validator(mode="before")
    @classmethod
    def _allocations_are_chosen(cls, values: Any) -> Any:
        if isinstance(values, dict) and form(values.get("allocation")) == "range":
            raise ValueError("allocation is searched by { choices = [...] }, not by a range")
        return values

    @model_validator(mode="after")
    def _known_sources(self) -> "Search":
        for name in self.sources:
            try:
                source(name)
            except InputError as error:
                raise ValueError(str(error)) from None
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("a source is named twice")
        return self


class Gate(Section):
    """Which trials train, by their spectral score."""

    quantile: float = Field(0.5, gt=0, le=1, description="fraction of trials that passes; 1.0 switches the gate off")
    control: Fraction = Field(0.1, description="fraction of trials that trains whatever its score: the control group")


class Guard(Section):
    """Which masks may train at all, beyond those with every layer and a path from the input to an output."""

    max_dead_channels: Fraction = Field(
        1.0, description="greatest fraction of all inputs and outputs of layers that lie on no path; 1.0: no limit"
    )
    min_shortcut_coverage: Fraction = Field(
        0.0, description="least fraction of each projection shortcut's output channels that it passes on; 0.0: no limit"
    )
    repair: bool = Field(
        False, description="whether rejected masks are repaired at their budget: useless weights go for missing ones"
    )


class Warmup(Section):
    """The short training of the trials that pass the gate."""

    iterations: int = Field(500, ge=0, description="iterations (optimizer steps); 0 makes a spectral-only study")
    report_every: int = Field(50, ge=1, description="iterations between two measurements of validation accuracy")
    early_stopping: bool = Field(True, description="whether ASHA stops the slower trials at its rungs")
    grace_period: int = Field(100, ge=1, description="iterations before the first rung")
    reduction_factor: float = Field(3.0, gt=1, description="one in this many trials goes on past a rung")

    @property
    def rungs(self) -> list[int]:
        """Iterations at which trials are compared: grace_period, then each reduction_factor times as many."""
        found, rung = [], float(self.grace_period)
        while self.early_stopping and math.ceil(rung) < self.iterations:
            found.append(math.ceil(rung))
            rung *= self.reduction_factor
        return found

    @property
    def reports(self) -> list[int]:
        """Iterations at which a trial reports: every `report_every`, at each rung, and at the end."""
        every = range(self.report_every, self.iterations, self.report_every)
        return sorted({*every, *self.rungs, self.iterations})


class Final(Section):
    """Full training of the best masks."""

    top_k: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        3, description='masks trained in full, best warm-up accuracy first; "all": every one that passed the gate'
    )
    epochs: int = Field(160, ge=1, description="epochs (passes over the training split)")
    checks: bool = Field(
        True, description="whether the winner is also trained shuffled, on other initial weights, with inverted scores"
    )


class Training(Searchable):
    """The recipe of warm-up and final training: a value is fixed, { low, high, log } or { choices } is searched."""

    optimizer: searchable(Literal["sgd", "adamw"]) = Field("sgd", description="sgd (with momentum) or adamw")
    learning_rate: searchable(Annotated[float, Field(gt=0)]) = Field(0.1, description="peak learning rate, > 0")
    momentum: searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(
        0.9, description="momentum of sgd, first beta of adamw, in [0, 1)"
    )
    nesterov: searchable(bool) = Field(False, description="whether sgd's momentum is Nesterov's")
    weight_decay: searchable(Annotated[float, Field(ge=0)]) = Field(5e-4, description="weight decay, >= 0")
    label_smoothing: searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(0.0, description="in [0, 1)")
    batch_size: searchable(Annotated[int, Field(ge=1)]) = Field(128, description="images a batch")
    schedule: searchable(Literal["cosine", "constant", "one-cycle", "step"]) = Field(
        "cosine", description="how the learning rate goes: cosine, constant, one-cycle or step"
    )
    milestones: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.5, 0.75], description="of schedule step: where the rate drops, fractions of all iterations in (0, 1)"
    )
    step_factor: searchable(Annotated[float, Field(gt=0, lt=1)]) = Field(
        0.1, description="of schedule step: what the rate is multiplied by at each milestone, in (0, 1)"
    )
    ramp_up: searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(
        0.0, description="fraction of all iterations over which the learning rate first rises linearly, in [0, 1)"
    )
    gradient_clip: searchable(Annotated[float, Field(ge=0)]) = Field(
        0.0, description="largest norm of the gradient of all trained weights together, >= 0; 0 for none"
    )
    ema: searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(
        0.0, description="decay a step of the moving average of weights that accuracy is measured on; 0 for none"
    )
    compile: bool = Field(False, description="whether torch compiles the network")

    @model_validator(mode="before")
    @classmethod
    def _ranges_are_of_real_numbers(cls, values: Any) -> Any:
        for name in ("optimizer", "nesterov", "schedule", "batch_size"):
            if isinstance(values, dict) and form(values.get(name)) == "range":
                raise ValueError(f"{name} is searched by {{ choices = [...] }}, not by a range")
        return values

    def recipe(self, proposed: dict[str, Any] | None = None) -> Recipe:
        """The training recipe with `proposed` values for the searched settings (all of them must be given)."""
        fixed = {name: getattr(self, name) for name in type(self).model_fields if name not in self.searched()}
        return Recipe(**fixed, **(proposed or {}))


class Resources(Section):
    """What each trial holds while it runs."""

    cpus: int = Field(1, ge=1, description="CPU cores a trial")
    gpus: float = Field(0.0, ge=0, description="GPUs a trial; a fraction shares one GPU among trials")


class Faults(Section):
    """What a search endures, and when it gives up."""

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


class Tracking(Section):
    """Where the record goes."""

    mlflow: str | None = Field(None, description="MLflow tracking URI; default: SQLite under the home folder")
    storage: str | None = Field(None, description="Optuna storage URL; default: a journal file under the home folder")


class Study(Section):
    """One search: the network, the data, the sparsity, and how to search."""

    model: str = Field(description="network: a name, torchvision:NAME or module:function")
    data: str = Field(description="data set: a name, imagefolder:PATH[@SIZE] or module:function")
    sparsity: Sparsity | Annotated[list[Sparsity], Field(min_length=1)] = Field(
        description="fraction of weights removed, in [0, 1); a list makes one study of each"
    )
    objective: Literal[tuple(OBJECTIVES)] | list[Literal[(*OBJECTIVES, "accuracy")]] = Field(
        "l2",
        description="score that chooses masks: l2 is the full-spectrum L2 distance, the others are layer means; of a "
        "list of 2 or 3 (accuracy after warm-up may be one) the first chooses, and the sampler is guided by all",
    )
    reference: Literal["origin", "random", "dense"] = Field("origin", description="point that l2 is measured from")
    aggregate: Literal["sum", "mean_vector"] = Field("sum", description="how layers combine to one l2")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights and of every draw")
    search: Search = Field(Search(), description="what is proposed, and how many candidates")
    gate: Gate = Field(Gate(), description="which trials train, by their spectral score")
    guard: Guard = Field(Guard(), description="which masks may train at all, and whether the others are repaired")
    warmup: Warmup = Field(Warmup(), description="the short training of the trials that pass the gate")
    final: Final = Field(Final(), description="full training of the best masks")
    training: Training = Field(Training(), description="the recipe of warm-up and final training")
    resources: Resources = Field(Resources(), description="what each trial holds while it runs")
    faults: Faults = Field(Faults(), description="what a search endures, and when it gives up")
    tracking: Tracking = Field(Tracking(), description="where the record goes")

    def settings(self) -> dict[str, Any]:
        """Every setting that is not at its default, as nested plain values."""
        return self.model_dump(exclude_defaults=True)

    @model_validator(mode="after")
    def _different_sparsities(self) -> "Study":
        if isinstance(self.sparsity, list) and len(set(self.sparsity)) < len(self.sparsity):
            raise ValueError(f"sparsity = {self.sparsity}: a sparsity is named twice; each makes a study of its own")
        return self

    @model_validator(mode="before")
    @classmethod
    def _accuracy_is_not_alone(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("objective") in ("accuracy", ["accuracy"]):
            raise ValueError(
                'objective = "accuracy": masks are chosen before anything trains; '
                'name a spectral score first, as in objective = ["l2", "accuracy"]'
            )
        return values

    @model_validator(mode="after")
    def _objectives_go_together(self) -> "Study":
        if isinstance(self.objective, str):
            return self
        given = f"objective = {json.dumps(self.objective)}"
        if not 2 <= len(set(self.objective)) == len(self.objective) <= 3:
            raise ValueError(f'{given}: a list names 2 or 3 different scores; one is given alone, as in "l2"')
        if self.score == "accuracy":
            raise ValueError(
                f"{given}: the first score chooses masks before anything trains; "
                'put a spectral one first, as in objective = ["l2", "accuracy"]'
            )
        if self.search.sampler == "cmaes":
            raise ValueError(f'search.sampler = "cmaes" takes one objective, but {given}; set it to "nsga2" or "tpe"')
        if "accuracy" in self.objectives and not self.warmup.iterations:
            raise ValueError(f"{given}: accuracy is measured in the warm-up, but warmup.iterations = 0; set it above 0")
        return self

    @model_validator(mode="after")
    def _settings_of_the_distance(self) -> "Study":
        for name in ("reference", "aggregate"):
            given = getattr(self, name)
            if "l2" not in self.objectives and given != type(self).model_fields[name].default:
                raise ValueError(
                    f'{name} = "{given}" is a setting of the distance, but objective = {json.dumps(self.objective)}; '
                    f'leave {name} out, or set objective = "l2"'
                )
        if self.search.draw == "per_layer" and self.score == "l2" and self.aggregate != "sum":
            raise ValueError(
                f'search.draw = "per_layer" needs a score that layers add up to, but aggregate = "{self.aggregate}"; '
                'set aggregate = "sum", or search.draw = "whole"'
            )
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of `objective`, also where it is one."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    @property
    def score(self) -> str:
        """The first objective, a spectral one: it chooses among a trial's candidates and passes the gate."""
        return self.objectives[0]

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits: the hash of `settings()`. Adding a setting with a default keeps old ids."""
        canonical = json.dumps(self.settings(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def each_sparsity(self) -> list["Study"]:
        """One study for each sparsity of the list, in its order; a single sparsity gives the study itself."""
        if isinstance(self.sparsity, float | int):
            return [self]
        return [self.model_copy(update={"sparsity": sparsity}) for sparsity in self.sparsity]
