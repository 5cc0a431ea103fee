"""The definition of a setting: its default, range and help, said once on a field of a dataclass."""

import dataclasses
import math
from typing import Any

from .errors import InputError, nearest
from .registry import Registry


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: tuple[str, ...] | None = None,
    registry: Registry | None = None,
    searched: bool = True,
) -> Any:
    """Return a dataclass field whose metadata say what else there is to know of the setting, each only if given.

    `help` is one line; `ge`, `gt`, `le` and `lt` bound a number, or each number of a tuple, which is finite in any
    case; `choices` are all names it can have, or `registry` knows them. `searched`: whether a study can search it.
    """
    known = {"ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices, "registry": registry}
    metadata = {"help": help, "searched": searched} | {key: value for key, value in known.items() if value is not None}
    return dataclasses.field(default=default, metadata=metadata)


def check_settings(owner: Any) -> None:
    """Raise `InputError` where a field of the dataclass `owner` that `setting` made has a value that it cannot have."""
    for field in dataclasses.fields(owner):
        _check(field, getattr(owner, field.name))


def _check(field: "dataclasses.Field[Any]", value: Any) -> None:
    if "registry" in field.metadata:
        field.metadata["registry"].check(value)
    elif (known := field.metadata.get("choices")) and value not in known:
        raise InputError(f'unknown {field.name} "{value}"{nearest(value, known)} (known: {", ".join(known)})')
    elif interval := _interval(field):
        numbers = value if isinstance(value, tuple) else (value,)
        if not all(_within(field, number) for number in numbers):
            form = "be fractions" if isinstance(value, tuple) else "lie"
            raise InputError(f"{field.name} must {form} in {interval}, but got {value!r}")


def _within(field: "dataclasses.Field[Any]", number: float) -> bool:
    """Return whether a number is finite and in the range; NaN is in none."""
    bounds = field.metadata
    return (
        math.isfinite(number)
        and number >= bounds.get("ge", -math.inf)
        and number > bounds.get("gt", -math.inf)
        and number <= bounds.get("le", math.inf)
        and number < bounds.get("lt", math.inf)
    )


def _interval(field: "dataclasses.Field[Any]") -> str | None:
    """Return the range as it is written, [0, 1) for example; None for a setting that has none."""
    bounds = field.metadata
    if not {"ge", "gt", "le", "lt"} & set(bounds):
        return None
    low = f"[{bounds['ge']}" if "ge" in bounds else f"({bounds.get('gt', '-inf')}"
    high = f"{bounds['le']}]" if "le" in bounds else f"{bounds.get('lt', 'inf')})"
    return f"{low}, {high}"
