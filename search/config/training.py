"""The table [training]: the settings of a training recipe, each fixed or searched."""

from dataclasses import Field as RecipeField
from dataclasses import fields
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import Field, create_model, model_validator

from ...models.recipe import Recipe
from ..protocol.proposal import Values
from .named import Named
from .searchable import Choices, Searchable, form, searched

#: Keys of a recipe field's metadata that bound a number.
_BOUNDS = ("ge", "gt", "le", "lt")

_TYPES = get_type_hints(Recipe)


def _setting(field: "RecipeField[Any]") -> tuple[Any, Any]:
    """Return the type and the definition of the setting that a field of a recipe is, as its metadata say."""
    said = field.metadata
    default = list(field.default) if isinstance(field.default, tuple) else field.default
    fixed = _fixed(_TYPES[field.name], said)
    return searched(fixed) if said["searched"] else fixed, Field(default, description=said["help"])


def _fixed(type_: Any, said: Any) -> Any:
    """Return the type of the fixed form; a tuple of a recipe is a list in TOML."""
    if get_origin(type_) is tuple:
        return GenericAlias(list, (_fixed(get_args(type_)[0], said),))
    if "registry" in said:
        return Annotated[str, Named(said["registry"])]
    if "choices" in said:
        return Literal[said["choices"]]
    bounds = {key: said[key] for key in _BOUNDS if key in said}
    return Annotated[type_, Field(**bounds)] if bounds else type_


if TYPE_CHECKING:

    class _Settings(Searchable):
        def __getattr__(self, name: str) -> Any: ...

else:
    _Settings = create_model(
        "_Settings", __base__=Searchable, **{field.name: _setting(field) for field in fields(Recipe)}
    )


class Training(_Settings):
    """The recipe of warm-up and final training: a value is fixed, { low, high, log } or { choices } is searched.

    The settings are the fields of `models.recipe.Recipe`, which defines default, range and help of each.
    """

    @model_validator(mode="before")
    @classmethod
    def _ranges_are_of_real_numbers(cls, values: Any) -> Any:
        for name, type_ in _TYPES.items():
            if type_ is not float and isinstance(values, dict) and form(values.get(name)) == "range":
                raise ValueError(f"{name} is searched by {{ choices = [...] }}, not by a range")
        return values

    @property
    def least_batch_size(self) -> int:
        """The smallest number of images in a batch of those that a recipe may have."""
        size = self.batch_size
        return int(min(map(float, size.choices)) if isinstance(size, Choices) else size)

    def recipe(self, proposed: Values | None = None) -> Recipe:
        """Return the training recipe with `proposed` values of the searched settings (all of them must be given)."""
        fixed = {name: getattr(self, name) for name in type(self).model_fields if name not in self.searched()}
        given: dict[str, Any] = dict(proposed or {})
        return Recipe(**fixed, **given)
