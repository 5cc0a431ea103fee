"""Tensors that a state dict has under several names: of weights that layers share, of layers that are used twice."""

from collections.abc import Hashable, Iterable, Mapping

import torch

from .errors import InputError


def memory_of(tensor: torch.Tensor) -> Hashable:
    """Return a key that two tensors have in common where they are the same elements of the same memory."""
    return tensor.data_ptr() or id(tensor), tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def copied(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a copy of `state` on the CPU, with memory of its own; names of one tensor have one there too."""
    copies: dict[Hashable, torch.Tensor] = {}
    for tensor in state.values():
        if (key := memory_of(tensor)) not in copies:
            copies[key] = tensor.detach().cpu().clone()
    return {name: copies[memory_of(tensor)] for name, tensor in state.items()}


def shared_names(state: Mapping[str, torch.Tensor]) -> list[list[str]]:
    """Return the names of each tensor that has several."""
    names: dict[Hashable, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(memory_of(tensor), []).append(name)
    return [several for several in names.values() if len(several) > 1]


def shared_again(state: Mapping[str, torch.Tensor], shared: object) -> dict[str, torch.Tensor]:
    """Return `state` with one tensor for all names of a list of `shared`, which `shared_names` once returned.

    Raises `InputError` for anything else, as a stranger's file may hold it.
    """
    result = dict(state)
    for names in shared if isinstance(shared, list) else [shared]:
        if not isinstance(names, list) or not _are_of_one(names, state):
            raise InputError(f"corrupted (it names as one tensor what is none: {str(names)[:80]})")
        result |= dict.fromkeys(names, state[names[0]])
    return result


def _are_of_one(names: Iterable[object], state: Mapping[str, torch.Tensor]) -> bool:
    tensors = [state[name] for name in names if isinstance(name, str) and name in state]
    return len(tensors) == len(list(names)) > 1 and all(
        tensor.dtype == tensors[0].dtype and torch.equal(tensor, tensors[0]) for tensor in tensors
    )
