"""A prefix before the names of parameters, as a network has it in which another is a part."""

from collections.abc import Mapping
from typing import TypeVar

import torch

from ..errors import InputError
from ..layout import Layout
from ..masks import MaskSet

State = TypeVar("State", bound=Mapping[str, torch.Tensor] | None)


def with_prefix(
    prefix: str, masks: MaskSet, state: Mapping[str, torch.Tensor] | None
) -> tuple[MaskSet, Mapping[str, torch.Tensor] | None]:
    """Return masks and weights with `prefix` before each name. Raises `InputError` for what is no name and a dot."""
    if not prefix:
        return masks, state
    if not prefix.endswith(".") or not all(part.strip() for part in prefix[:-1].split(".")):
        raise InputError(f"the prefix {prefix!r} must be the name of a module and a dot, as in 'backbone.'")
    metadata = {key: value for key, value in masks.metadata.items() if key not in ("groups", "inputs_first")}
    # It names the weights under their former names.
    metadata.pop("init_digest", None)
    lies = Layout.from_metadata(masks.metadata, masks)
    groups = {prefix + name: count for name, count in lies.groups.items()}
    layout = Layout(groups, tuple(prefix + name for name in lies.inputs_first))
    named = MaskSet({prefix + name: mask for name, mask in masks.items()}, metadata | layout.to_metadata())
    return named, None if state is None else {prefix + name: tensor for name, tensor in state.items()}
