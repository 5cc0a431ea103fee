"""The axes of a network's weights: groups, and which axis is the input."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .errors import InputError
from .tensorfile import parse_strict_json


@dataclass(frozen=True)
class Layout:
    """How pruned weights lie on their axes where that is not (out, in, …) in one group. Made by `layers.layout`.

    `groups` maps parameter names to their number of groups, each a graph of its own: the first axis is cut into that
    many equal parts. `inputs_first` names the parameters whose first axis is the input and whose second is the output.
    """

    groups: dict[str, int] = field(default_factory=dict)
    inputs_first: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """Return the strings that a mask file carries: `groups` and `inputs_first` as JSON, each only if not empty."""
        texts = {"groups": self.groups, "inputs_first": self.inputs_first}
        return {key: json.dumps(value) for key, value in texts.items() if value}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], masks: Mapping[str, np.ndarray]) -> "Layout":
        """Read back what `to_metadata` wrote into the metadata of a file of `masks`, trusting nothing in it.

        Raises `InputError` for malformed strings, names without a mask, and groups that do not fit a mask's shape.
        """
        try:
            return cls(_groups(metadata.get("groups", "{}"), masks), _names(metadata.get("inputs_first", "[]"), masks))
        except InputError as error:
            raise InputError(
                f"the mask file does not say how its weights lie: {error}; name the network (--model)"
            ) from error


def _groups(text: str, masks: Mapping[str, np.ndarray]) -> dict[str, int]:
    groups = parse_strict_json(text)
    if not isinstance(groups, dict):
        raise InputError(f"groups must be a number for each parameter, but are {text[:80]!r}")
    for name, count in groups.items():
        _check_named("groups", name, masks)
        # bool is an int to isinstance, and JSON's true is no number.
        if type(count) is not int or count < 1 or masks[name].shape[0] % count:
            raise InputError(
                f"the groups of {name} must be a whole number that divides its first axis of {masks[name].shape[0]}, "
                f"but are {str(count)[:80]!r}"
            )
    return groups


def _names(text: str, masks: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    names = parse_strict_json(text)
    if not isinstance(names, list):
        raise InputError(f"inputs_first must be a list of parameters, but is {text[:80]!r}")
    for name in names:
        _check_named("inputs_first", name, masks)
    return tuple(dict.fromkeys(names))


def _check_named(key: str, name: object, masks: Mapping[str, np.ndarray]) -> None:
    if not isinstance(name, str) or name not in masks:
        raise InputError(f"{key} names {str(name)[:80]!r}, which has no mask")
    if masks[name].ndim < 2:
        raise InputError(f"{key} names {name}, whose mask has a single axis")
