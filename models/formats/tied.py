"""Masks of weights that layers share: one in a mask set, one under each name of the weight in a trainer."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch

from ..sharing import memory_of, shared_names

Mask = TypeVar("Mask", np.ndarray, torch.Tensor)


def under_every_name(masks: Mapping[str, Mask], state: Mapping[str, torch.Tensor] | None) -> dict[str, Mask]:
    """Return `masks` with that of a shared weight under each of its names in `state`, their own names first."""
    if state is None:
        return dict(masks)
    mask_of = {memory_of(state[name]): mask for name, mask in masks.items()}
    every = {name: mask_of[memory] for name, tensor in state.items() if (memory := memory_of(tensor)) in mask_of}
    return {**masks, **every}


def under_one_name(masks: Mapping[str, Mask], state: Mapping[str, torch.Tensor] | None) -> dict[str, Mask]:
    """Return `masks` without those that are equal to that of an earlier name of the same weight in `state`."""
    result = dict(masks)
    for first, *others in shared_names({name: state[name] for name in masks if name in state} if state else {}):
        for other in others:
            if masks[other].shape == masks[first].shape and bool((masks[other] == masks[first]).all()):
                del result[other]
    return result


def masked_first(state: Mapping[str, torch.Tensor], masks: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """Return `state` with what has a mask first: of a weight's names, a reader takes the first for its mask's."""
    return {**{name: state[name] for name in masks if name in state}, **state}
