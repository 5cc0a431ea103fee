"""Settings that name something of a registry."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ...models.registry import Registry


@dataclass(frozen=True, eq=False)
class Named:
    """An annotation of a string: a name that `registry` knows, or that may be a user's own, which is not imported.

    `others` are further words that the setting takes.
    """

    registry: Registry
    others: tuple[str, ...] = ()

    def check(self, name: str) -> str:
        """Return `name`. Raises InputError, with the nearest one, where nothing has it."""
        self.registry.check(name, self.others)
        return name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))
