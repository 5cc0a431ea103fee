"""A study's configuration: every setting with its unit, range and default, read from TOML."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from ..models.errors import InputError, nearest
from ..models.training import Recipe
from .sources import SOURCES


class ConfigError(InputError):
    """A setting that cannot be used, in one line that names it."""


class Section(BaseModel):
    """A table of settings: unknown keys, wrong types and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Range(Section):
    """A searched number: drawn from [low, high], uniformly or log-uniformly."""

    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(False, description="draw log-uniformly; needs low > 0")

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low must be less than high, but got low = {self.low:g}, high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log = true needs low greater than 0, but got {self.low:g}")
        return self


class Choices(Section):
    """A searched setting drawn from a list."""

    choices: list[float | int | str] = Field(min_length=1, description="the values to choose from")


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "choices" if "choices" in value else "range"
    return {Range: "range", Choices: "choices"}.get(type(value), "fixed")


def _searchable(fixed: Any) -> Any:
    """A setting that is a plain value (fixed) or a table { low, high, log } or { choices } (searched)."""
    return Annotated[
        Annotated[fixed, Tag("fixed")] | Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
        Discriminator(_kind),
    ]


class Searchable(Section):
    """A table with settings that can be searched: what is searched obeys the range of the fixed value."""

    @model_validator(mode="after")
    def _searched_values_in_range(self) -> "Searchable":
        """Checks both ends of each range and every choice."""
        for name, value in self.searched().items():
            for end in value.choices if isinstance(value, Choices) else (value.low, value.high):
                try:
                    type(self)(**{name: end})
                except ValidationError as error:
                    reason = error.errors()[0]["msg"]
                    raise ValueError(f"{name} = {end!r}: {reason[0].lower()}{reason[1:]}") from None
        return self

    def searched(self) -> dict[str, Range | Choices]:
        """The settings that are searched, by name."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Range | Choices)}


Sparsity = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Search(Searchable):
    """What is proposed, and how many candidates."""

    trials: int = Field(100, ge=1, description="number of trials")
    samples_per_trial: int = Field(8, ge=1, le=4096, description="candidate masks drawn in a trial; the best goes on")
    sampler: Literal["tpe", "random"] = Field("tpe", description="Optuna sampler that proposes trials")
    sources: list[str] = Field(
        ["random", "magnitude", "snip"], min_length=1, description="mask sources to choose from: " + ", ".join(SOURCES)
    )
    temperature: _searchable(Annotated[float, Field(ge=0)]) = Field(
        Range(low=0.05, high=2.0, log=True), description="Gumbel temperature of the draw, >= 0; 0 is the source's top-k"
    )
    batches: int = Field(4, ge=1, le=1000, description="number of different training batches a data-driven source sees")
    allocation: Literal["uniform", "er", "erk", "global"] = Field(
        "erk", description="base of the layerwise sparsity; global is the source's own ranking"
    )
    theta: Literal["layer", "stage", "none"] = Field("layer", description="what is searched on top of the base")
    theta_range: float = Field(0.5, gt=0, le=5, description="trust region: greatest |theta|, a log-density factor")
    min_kept_per_output: float = Field(1.0, ge=0, description="floor of each layer: kept weights per output on average")
    max_concurrent: int = Field(8, ge=1, description="trials that run at once, as far as the resources go")

    @model_validator(mode="after")
    def _known_sources(self) -> "Search":
        for source in self.sources:
            if source not in SOURCES:
                raise ValueError(
                    f"unknown source {source!r}{nearest(source, SOURCES)}; the sources are {', '.join(SOURCES)}"
                )
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("a source is named twice")
        return self


class Gate(Section):
    """Which trials train, by their spectral score."""

    quantile: float = Field(0.5, gt=0, le=1, description="fraction of trials that passes; 1.0 switches the gate off")
    control: Fraction = Field(0.1, description="fraction of trials that trains whatever its score: the control group")


class Warmup(Section):
    """The short training of the trials that pass the gate."""

    iterations: int = Field(500, ge=0, description="iterations (optimizer steps); 0 makes a spectral-only study")
    report_every: int = Field(50, ge=1, description="iterations between two measurements of validation accuracy")
    early_stopping: bool = Field(True, description="whether ASHA stops the slower trials at its rungs")
    grace_period: int = Field(100, ge=1, description="iterations before the first rung")
    reduction_factor: float = Field(3.0, gt=1, description="one in this many trials goes on past a rung")


class Final(Section):
    """Full training of the best masks."""

    top_k: Annotated[int, Field(ge=0)] | Literal["all"] = Field(
        3, description='masks trained in full, best warm-up accuracy first; "all": every one that passed the gate'
    )
    epochs: int = Field(160, ge=1, description="epochs (passes over the training split)")


class Training(Searchable):
    """The recipe of warm-up and final training. A value is fixed; a table { low, high, log } or { choices } is searched."""

    optimizer: _searchable(Literal["sgd", "adamw"]) = Field("sgd", description="sgd (with momentum) or adamw")
    learning_rate: _searchable(Annotated[float, Field(gt=0)]) = Field(0.1, description="peak learning rate, > 0")
    momentum: _searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(0.9, description="momentum of sgd, in [0, 1)")
    weight_decay: _searchable(Annotated[float, Field(ge=0)]) = Field(5e-4, description="weight decay, >= 0")
    label_smoothing: _searchable(Annotated[float, Field(ge=0, lt=1)]) = Field(0.0, description="in [0, 1)")
    batch_size: _searchable(Annotated[int, Field(ge=1)]) = Field(128, description="images a batch")
    schedule: _searchable(Literal["cosine", "constant"]) = Field("cosine", description="learning-rate schedule")

    @model_validator(mode="before")
    @classmethod
    def _ranges_are_of_real_numbers(cls, values: Any) -> Any:
        for name in ("optimizer", "schedule", "batch_size"):
            if isinstance(values, dict) and _kind(values.get(name)) == "range":
                raise ValueError(f"{name} is searched by {{ choices = [...] }}, not by a range")
        return values

    def recipe(self, proposed: dict[str, Any] | None = None) -> Recipe:
        """The training recipe with `proposed` values for the searched settings (all of them must be given)."""
        fixed = {name: getattr(self, name) for name in type(self).model_fields if name not in self.searched()}
        return Recipe(**fixed, **(proposed or {}))

    def representative(self) -> dict[str, Any]:
        """One value for each searched setting: the (geometric) middle of a range, the first of the choices."""
        middle = {}
        for name, value in self.searched().items():
            if isinstance(value, Choices):
                middle[name] = value.choices[0]
            else:
                middle[name] = (value.low * value.high) ** 0.5 if value.log else (value.low + value.high) / 2
        return middle


class Resources(Section):
    """What each trial holds while it runs."""

    cpus: int = Field(1, ge=1, description="CPU cores a trial")
    gpus: float = Field(0.0, ge=0, description="GPUs a trial; a fraction shares one GPU among trials")


class Tracking(Section):
    """Where the record goes."""

    mlflow: str | None = Field(None, description="MLflow tracking URI; default: SQLite under the home folder")
    storage: str | None = Field(None, description="Optuna storage URL; default: a journal file under the home folder")


class Study(Section):
    """One search: the network, the data, the sparsity, and how to search."""

    model: str = Field(description="network: a name, torchvision:NAME or module:function")
    data: str = Field(description="data set: a name, imagefolder:PATH or module:function")
    sparsity: Sparsity | Annotated[list[Sparsity], Field(min_length=1)] = Field(
        description="fraction of weights removed, in [0, 1); a list makes one study of each"
    )
    objective: Literal["l2"] = Field("l2", description="score that chooses masks: l2, the full-spectrum L2 distance")
    reference: Literal["origin", "random", "dense"] = Field("origin", description="point the distance is measured from")
    aggregate: Literal["sum", "mean_vector"] = Field("sum", description="how layers combine to one distance")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights and of every draw")
    search: Search = Field(Search(), description="what is proposed, and how many candidates")
    gate: Gate = Field(Gate(), description="which trials train, by their spectral score")
    warmup: Warmup = Field(Warmup(), description="the short training of the trials that pass the gate")
    final: Final = Field(Final(), description="full training of the best masks")
    training: Training = Field(Training(), description="the recipe of warm-up and final training")
    resources: Resources = Field(Resources(), description="what each trial holds while it runs")
    tracking: Tracking = Field(Tracking(), description="where the record goes")

    def settings(self) -> dict[str, Any]:
        """Every setting that is not at its default, as nested plain values."""
        return self.model_dump(exclude_defaults=True)

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


def bundled() -> list[str]:
    """Names of the studies that come with the package."""
    folder = resources.files(__package__) / "studies"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_study(study: str, overrides: Iterable[str] = ()) -> Study:
    """The study of a .toml file or of a bundled name, with `KEY=VALUE` overrides (values are TOML, or bare words).

    Raises ConfigError naming the first setting that cannot be used, what was given and what was expected.
    """
    if study.endswith(".toml"):
        path = Path(study)
        if not path.is_file():
            raise ConfigError(f"no study file {study!r}; the bundled studies are {', '.join(bundled())}")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {study!r} as text: {error}") from None
    elif study in bundled():
        text = (resources.files(__package__) / "studies" / f"{study}.toml").read_text()
    else:
        raise ConfigError(
            f"unknown study {study!r}{nearest(study, bundled())}; "
            f"give a .toml file or one of the bundled studies: {', '.join(bundled())}"
        )
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{study} is not valid TOML: {error}") from None
    return parse(with_overrides(settings, overrides))


def with_overrides(settings: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """`settings` with `KEY=VALUE` overrides put in; raises ConfigError for one that is not of that form."""
    for override in overrides:
        _override(settings, override)
    return settings


def describe_settings(section: type[Section] = Study, prefix: str = "") -> Iterator[str]:
    """A line for each setting: its name, its default, and its help text."""
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield f"\n[{name}]  {field.description}"
            yield from describe_settings(field.annotation, f"{name}.")
            continue
        default = "required" if field.is_required() else f"default {_toml(field.default)}"
        yield f"  {prefix}{name}: {field.description} ({default})"


def _toml(value: Any) -> str:
    if isinstance(value, Section):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.model_dump().items()) + " }"
    return "none" if value is None else json.dumps(value)


def parse(settings: dict[str, Any]) -> Study:
    """The study of nested plain values. Raises ConfigError naming the first setting that cannot be used."""
    try:
        return Study.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_one_line(error)) from None


def _override(settings: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example --set search.trials=50")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *tables, last = key.strip().split(".")
    for table in tables:
        settings = settings.setdefault(table, {})
        if not isinstance(settings, dict):
            raise ConfigError(f"--set {override}: {table} is a value, not a table of settings")
    settings[last] = value


def _depth(error: Any) -> tuple[int, bool]:
    return len(error["loc"]), error["type"] == "too_short"


def _one_line(error: ValidationError) -> str:
    errors = error.errors()
    # Of a setting's several forms, the one whose values were looked at was meant: a list, where a list was given.
    first = max((e for e in errors if e["loc"][:1] == errors[0]["loc"][:1]), key=_depth)
    path = [
        part
        for part in first["loc"]
        if isinstance(part, str) and part not in ("fixed", "range", "choices", "int", "float")
    ]
    path = [part for part in path if not part.startswith(("literal[", "list[", "constrained"))]
    name = ".".join(path)
    section, field = Study, None
    for part in path:
        field = section.model_fields.get(part) if section else None
        section = field.annotation if field and isinstance(field.annotation, type) else None
        section = section if section and issubclass(section, Section) else None
    if first["type"] == "extra_forbidden":
        parent: Any = Study
        for part in path[:-1]:
            annotation = parent.model_fields[part].annotation
            parent = annotation if isinstance(annotation, type) and issubclass(annotation, Section) else Range
        known = list(parent.model_fields)
        return f"unknown setting {name!r}{nearest(path[-1], known)}; the settings there are {', '.join(known)}"
    if first["type"] == "missing":
        return f"the setting {name!r} is missing: {field.description if field else 'it has no default'}"
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{name}: {reason}" if name else reason
    given = f"{name} = {first['input']!r}: {reason[0].lower()}{reason[1:]}"
    return f"{given} ({field.description})" if field and field.description else given
