"""The table [pretraining]: the dense training before masks are chosen."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from .searchable import Searchable, Searched, form, values_of


class Pretraining(Searchable):
    """The dense training before masks are chosen: sources score the weights that it ends at, training starts there."""

    iterations: Searched[Annotated[int, Field(ge=0)]] = Field(
        0, description="k: dense optimizer steps before masks are chosen; 0: masks at initialisation"
    )

    @model_validator(mode="before")
    @classmethod
    def _iterations_are_chosen(cls, values: Any) -> Any:
        if isinstance(values, dict) and form(values.get("iterations")) == "range":
            raise ValueError(
                "iterations is searched by { choices = [...] }, not by a range: each of them is a training of its own"
            )
        return values

    @property
    def each(self) -> list[int]:
        """The numbers of iterations that trials may begin after, in the order in which they are given."""
        return [int(k) for k in values_of(self.iterations)]
