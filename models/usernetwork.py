"""A network that a user's function returns: refused where it cannot be pruned, and what stays dense in it marked."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.weight_norm import WeightNorm

from .computedweights import leave_computed_dense
from .errors import FAILURES, InputError, first_line
from .layers import FROZEN, each_prunable, leave_dense
from .sharing import shared_names
from .task import Task
from .userfunction import call


def from_user(reference: str, task: Task) -> nn.Module:
    """Return the network for `task` of the function `reference`, which is called with channels, size and classes.

    Weights that are frozen (`requires_grad` is False), or that the network computes others from, are left dense.
    Raises `InputError` where the function fails or returns something else than a network, and for a network that holds
    TorchScript, has parameters or buffers on the device "meta" or of another layout than a strided one, has two
    parameters in one memory, is frozen as a whole, is pruned already, or whose `train`, `state_dict` and
    `load_state_dict` do not do what those of a module do.
    """
    model = call(reference, channels=task.channels, size=task.size, classes=task.classes)
    if not isinstance(model, nn.Module):
        raise InputError(f'"{reference}" must return a torch.nn.Module, but returned a {type(model).__name__}')
    _check(model, reference)
    _check_methods(model, reference)
    _make_copyable(model)
    leave_dense(model, [name for name, _, weight in each_prunable(model) if not weight.requires_grad], FROZEN)
    leave_computed_dense(model, task)
    return model


def _check(model: nn.Module, reference: str) -> None:
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f'"{reference}" returned TorchScript{path and f" ({path})"}, whose layers can neither be seen nor '
                "copied; return the network itself, without torch.jit.script and torch.jit.trace"
            )
    tensors = [*model.named_parameters(), *model.named_buffers()]
    if empty := next((name for name, tensor in tensors if tensor.is_meta), None):
        raise InputError(
            f'"{reference}" returned a network without values: {empty} is on the device "meta"; build it on the CPU, '
            "or give it initial weights there (torch.nn.Module.to_empty)"
        )
    if sparse := next((each for each in tensors if each[1].layout != torch.strided), None):
        raise InputError(
            f'"{reference}" returned a network with a sparse tensor: {sparse[0]} is {sparse[1].layout}; make it dense '
            "(to_dense()), and sparse in the forward pass where it must be"
        )
    # Lazy ones have no memory yet.
    named = {name: weight for name, weight in model.named_parameters() if not nn.parameter.is_lazy(weight)}
    if twins := shared_names(named):
        first, second, *_ = twins[0]
        raise InputError(
            f'"{reference}" returned a network with two parameters in one memory, {first} and {second}; share one '
            f"parameter ({second} = {first}), or give each values of its own (clone())"
        )
    parameters = list(model.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        raise InputError(
            f'"{reference}" returned a network all of whose parameters are frozen (requires_grad is False), so that '
            "nothing of it can be trained; unfreeze those that are to be trained (requires_grad_())"
        )
    pruned = [f"{path}.{hook._tensor_name}".lstrip(".") for path, hook in _hooks(model, prune.BasePruningMethod)]
    if pruned:
        raise InputError(
            f'"{reference}" returned a network that torch.nn.utils.prune has pruned already ({pruned[0]}'
            f"{f' and {len(pruned) - 1} more' if len(pruned) > 1 else ''}); call torch.nn.utils.prune.remove on each "
            "before it is returned"
        )


def _check_methods(model: nn.Module, reference: str) -> None:
    try:
        switched = model.train(model.training)
        model.load_state_dict(model.state_dict())
    except FAILURES as error:
        raise InputError(
            f'"{reference}" returned a network whose mode or state cannot be set ({first_line(error)}); its train(), '
            "state_dict() and load_state_dict() must do what those of torch.nn.Module do"
        ) from error
    if switched is not model:
        raise InputError(
            f'"{reference}" returned a network whose train() returns a {type(switched).__name__}; '
            "end it with return self"
        )


def _make_copyable(model: nn.Module) -> None:
    """Cut weights that torch.nn.utils.weight_norm has computed off their past, without which no copy can be made.

    Each call of their layer computes them anew.
    """
    for path, hook in _hooks(model, WeightNorm):
        module = model.get_submodule(path)
        setattr(module, hook.name, getattr(module, hook.name).detach())


def _hooks(model: nn.Module, kind: type) -> list[tuple[str, Any]]:
    """Return the hooks of `kind` that are called before a module is, with the module's name."""
    return [
        (path, hook)
        for path, module in model.named_modules()
        for hook in module._forward_pre_hooks.values()
        if isinstance(hook, kind)
    ]
