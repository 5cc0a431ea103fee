"""Settings that are either a fixed value or a table of the values to search."""

from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator


class Section(BaseModel):
    """A table of settings: unknown keys, wrong types and values out of range are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Range(Section):
    """A searched number: drawn from [low, high], uniformly or log-uniformly."""

    low: float = Field(description="least value")
    high: float = Field(description="greatest value")
    log: bool = Field(False, description="draw log-uniformly; needs low > 0")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be less than high, but got low = {self.low:g}, high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log = true needs low greater than 0, but got {self.low:g}")
        return self


class Choices(Section):
    """A searched setting drawn from a list."""

    choices: list[bool | float | int | str] = Field(min_length=1, description="the values to choose from")

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len(set(map(repr, self.choices))) < len(self.choices):
            raise ValueError(f"choices = {self.choices}: a value is named twice")
        return self


def form(value: Any) -> str:
    """Return which of the forms of `Searched` a setting has: fixed, range or choices."""
    if isinstance(value, dict):
        return "choices" if "choices" in value else "range"
    if isinstance(value, Choices):
        return "choices"
    return "range" if isinstance(value, Range) else "fixed"


Fixed = TypeVar("Fixed")

#: A setting that is a plain value (fixed) or a table { low, high, log } or { choices } (searched).
Searched = Annotated[
    Annotated[Fixed, Tag("fixed")] | Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(form),
]


def searched(fixed: Any) -> Any:
    """Return `Searched[fixed]`, of a type that is known only when the program runs."""
    return cast(Any, Searched)[fixed]


class Searchable(Section):
    """A table with settings that can be searched: what is searched obeys the range of the fixed value."""

    @model_validator(mode="after")
    def _searched_values_in_range(self) -> Self:
        """Check both ends of each range and every choice."""
        for name, value in self.searched().items():
            for end in values_of(value):
                try:
                    type(self)(**{name: end})
                except ValidationError as error:
                    reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                    raise ValueError(f"{name} = {end!r}: {reason[0].lower()}{reason[1:]}") from None
        return self

    def searched(self) -> dict[str, Range | Choices]:
        """Return the settings that are searched, by name."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Range | Choices)}


def values_of(setting: Any) -> list[Any]:
    """Return the values that a setting may have: the fixed one, a list in its order, or the ends of a range."""
    if isinstance(setting, Range):
        return [setting.low, setting.high]
    return list(setting.choices) if isinstance(setting, Choices) else [setting]
