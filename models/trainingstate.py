"""The state of a training, for checkpoints."""

import copy
from collections.abc import Mapping
from typing import Any, TypedDict

import torch


class Identity(TypedDict):
    """The identity of a training, which its states carry; `mask_digest` is that of the masks at the start."""

    mask_digest: str | None
    rule: str
    seed: int
    recipe: dict[str, Any]
    total_iterations: int


class TrainingState(Identity):
    """All that a training depends on, tensors on the CPU."""

    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    average: dict[str, torch.Tensor] | None
    masks: dict[str, torch.Tensor]
    iteration: int
    generator: torch.Tensor


def copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with its tensors copied to the CPU."""
    return {
        name: value.detach().cpu().clone() if isinstance(value, torch.Tensor) else value
        for name, value in state.items()
    }


def copied_optimizer(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the optimizer's state, copied to the CPU: a GPU that trains may have no room for a second one."""
    moments = {number: copied(of_weight) for number, of_weight in state["state"].items()}
    return {"state": moments, "param_groups": copy.deepcopy(state["param_groups"])}
