"""The table [search]: what is proposed, and how many candidates."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ...models.errors import InputError
from ..samplers.registry import SAMPLERS
from ..sampling.pattern import Pattern
from ..sampling.registry import ALLOCATIONS
from ..sources.registry import SOURCES
from .named import Named
from .searchable import Range, Searchable, Searched, form, values_of


class Search(Searchable):
    """The proposals, and the number of candidates."""

    trials: int = Field(100, ge=1, description="number of trials")
    samples_per_trial: int = Field(8, ge=1, le=4096, description="candidate masks drawn in a trial; the best goes on")
    draw: Literal["whole", "per_layer"] = Field(
        "whole", description="per_layer adds one candidate to a trial: each layer from its best draw, at exact counts"
    )
    sampler: Annotated[str, Named(SAMPLERS)] = Field(
        "tpe",
        description="Optuna sampler that proposes trials; random and qmc learn nothing, and draw the groups uniformly",
    )
    sources: list[Annotated[str, Named(SOURCES)]] = Field(
        ["random", "magnitude", "snip"],
        min_length=1,
        description="mask sources to choose from: " + ", ".join(SOURCES.known),
    )
    temperature: Searched[Annotated[float, Field(ge=0)]] = Field(
        Range(low=0.05, high=2.0, log=True), description="Gumbel temperature of the draw, >= 0; 0 is the source's top-k"
    )
    batches: int = Field(4, ge=1, le=1000, description="number of different training batches a data-driven source sees")
    images_per_class: int = Field(
        10, ge=1, description="training images of each class in such a batch; more than 256 in all are scored in pieces"
    )
    rounds: Searched[Annotated[int, Field(ge=1)]] | None = Field(
        None,
        description="rounds in which a source removes weights; none: the source's own (iterative-snip 100, those that "
        "train 9)",
    )
    round_iterations: Searched[Annotated[int, Field(ge=1)]] = Field(
        200, description="iterations (optimizer steps) of each round of a source that trains"
    )
    allocation: Searched[Annotated[str, Named(ALLOCATIONS)]] = Field(
        "erk",
        description="base of the layerwise sparsity; lamp ranks initial weights, global is the source's own ranking",
    )
    keep_dense: list[str] = Field(
        [], description="parameters that are kept whole, by name or pattern (conv1, *.downsample.*)"
    )
    pattern: str | None = Field(
        None,
        description="N:M, as in 2:4: each layer keeps N of every M weights in a row of its unrolled weights, where M "
        "divides the row, and is whole elsewhere; then sparsity is 1 - N / M, and neither allocation nor theta counts; "
        "none: any weights",
    )
    theta: Literal["layer", "stage", "none"] = Field("layer", description="what is searched on top of the base")
    theta_range: float = Field(0.5, gt=0, le=5, description="trust region: greatest |theta|, a log-density factor")
    min_kept_per_output: float = Field(1.0, ge=0, description="floor of each layer: kept weights per output on average")
    groups: Literal["accuracy", "objective", "uniform"] = Field(
        "accuracy",
        description="what guides the choice of source, pretraining and allocation: warm-up accuracy at equal cost, the "
        "objective, or nothing",
    )
    max_concurrent: int = Field(8, ge=1, description="trials that run at once, as far as the resources go")

    @model_validator(mode="before")
    @classmethod
    def _some_are_chosen(cls, values: Any) -> Any:
        for name in ("allocation", "rounds", "round_iterations"):
            if isinstance(values, dict) and form(values.get(name)) == "range":
                raise ValueError(f"{name} is searched by {{ choices = [...] }}, not by a range")
        return values

    @property
    def steered(self) -> str:
        """What theta is searched for; a pattern leaves it nothing to steer."""
        return "none" if self.pattern else self.theta

    def rounds_of(self, own: int | None) -> list[int | None]:
        """Return the rounds that a source may have whose `own` number is this; none where it has no rounds."""
        return [rounds or own for rounds in values_of(self.rounds)] if own else [None]

    @model_validator(mode="after")
    def _pattern_is_one(self) -> Self:
        if self.pattern is None:
            return self
        try:
            Pattern.parse(self.pattern)
        except InputError as error:
            raise ValueError(f"pattern: {error}") from None
        if form(self.allocation) == "choices":
            raise ValueError(
                f'pattern = "{self.pattern}" says how many weights each layer keeps, so that allocations cannot be '
                "searched; give one, or leave pattern out"
            )
        return self

    @model_validator(mode="after")
    def _different_sources(self) -> Self:
        if len(set(self.sources)) < len(self.sources):
            raise ValueError("a source is named twice")
        return self
