"""The connectivity of a mask set: collapsed layers, paths, dead channels, shortcuts, effective sparsity."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from ...models.errors import InputError
from ...models.layers import layout, prunable
from ...models.masks import MaskSet
from ...models.task import Task
from .channels import ChannelCount, Channels
from .positive import PositivePropagation, network_input
from .shortcuts import projection_shortcuts


@dataclass(frozen=True)
class Limits:
    """The limits within which a mask may train; the defaults allow every mask."""

    dead_channels: float = 1.0
    """Greatest fraction of channels on no path, in [0, 1]."""
    shortcut_coverage: float = 0.0
    """Least fraction of the output channels of every projection shortcut on a path through it, in [0, 1]."""


@dataclass(frozen=True)
class Connectivity:
    """The way in which a mask set connects the network's inputs to its outputs."""

    effective_sparsity: float
    """Fraction of weights that are removed or lie on no input-output path, in [0, 1]."""
    collapsed: tuple[str, ...]
    """Parameters of which nothing is kept."""
    cut: tuple[str, ...]
    """Parameters that keep weights of which none lies on an input-output path."""
    channels: Mapping[str, ChannelCount] = field(default_factory=dict, compare=False, repr=False)
    """Inputs and outputs of each parameter's layer."""
    shortcuts: Mapping[str, tuple[int, int]] | None = field(default_factory=dict, compare=False, repr=False)
    """Output channels of each projection shortcut on a path through it, and all of them; None: not known."""
    limits: Limits = field(default=Limits(), compare=False, repr=False)
    unrepaired: str | None = field(default=None, compare=False)
    """Why a repair did not succeed; None where none was tried."""

    @property
    def dead_channels(self) -> float:
        """Fraction of all inputs and outputs of layers that lie on no input-output path, in [0, 1]."""
        return sum(c.dead for c in self.channels.values()) / max(1, self._channels)

    @property
    def empty_channels(self) -> float:
        """Fraction of all inputs and outputs of layers that have no kept weight, in [0, 1]."""
        return sum(c.empty for c in self.channels.values()) / max(1, self._channels)

    @property
    def _channels(self) -> int:
        return sum(c.total for c in self.channels.values())

    @property
    def shortcut_coverage(self) -> float | None:
        """The least covered shortcut's fraction of output channels, in [0, 1]; None where no shortcut is known."""
        return (
            min((passed / total for passed, total in self.shortcuts.values()), default=None) if self.shortcuts else None
        )

    @property
    def fault(self) -> str | None:
        """Why the mask may not train, naming the layer; None where it may."""
        fault = self._fault()
        return f"{fault} (not repaired: {self.unrepaired})" if fault and self.unrepaired else fault

    def _fault(self) -> str | None:
        if self.collapsed:
            return f"collapsed: nothing is kept of {', '.join(self.collapsed)}"
        if self.effective_sparsity == 1:
            return "no path from the input to an output"
        if self.dead_channels > self.limits.dead_channels:
            name, worst = max(self.channels.items(), key=lambda item: item[1].dead / item[1].total)
            return (
                f"dead channels: {self.dead_channels:.4f} of all lie on no path, "
                f"{worst.dead} of {worst.total} in {name}, but max_dead_channels = {self.limits.dead_channels:g}"
            )
        for name, (passed, total) in (self.shortcuts or {}).items():
            if passed < self.limits.shortcut_coverage * total:
                return (
                    f"the shortcut {name} passes {passed} of {total} channels, "
                    f"but min_shortcut_coverage = {self.limits.shortcut_coverage:g}"
                )
        return None


@dataclass(frozen=True)
class Paths:
    """The weights on input-output paths of a mask set: boolean arrays of the parameters' shapes, by name."""

    used: Mapping[str, np.ndarray]
    """Kept weights on a path."""
    completing: Mapping[str, np.ndarray]
    """Removed weights that would each complete a path alone."""


class PathCounter:
    """A finder of the weights on input-output paths of one network; made once, and used for each mask."""

    def __init__(self, model: nn.Module, task: Task, limits: Limits = Limits()):
        # Masks take the place of weights, zero that of biases, and positive, growing functions that of all functions
        # that are not linear. On positive inputs every quantity then grows with every weight before it, nothing
        # cancels, and the derivative of the output by a weight is positive exactly where the weight lies on a path (as
        # in SynFlow, with all weights one), or would if it were kept.
        self._model = copy.deepcopy(model).cpu().float().eval()
        self._limits = limits
        self._weights = prunable(self._model)
        lies = layout(self._model)
        self.channels = {n: Channels(lies.groups.get(n, 1), n in lies.inputs_first) for n in self._weights}
        self.shortcuts = projection_shortcuts(self._model)
        """Parameters of the projection shortcuts; None where the network cannot be traced."""
        _fix_computed_weights(self._model)
        for name, parameter in self._model.named_parameters():
            # Scales (of layers, of attention) are one: they connect, whatever value they have.
            parameter.requires_grad_(False).fill_(0.0 if name.endswith("bias") else 1.0)
        for weight in self._weights.values():
            weight.requires_grad_(True)
        self._task = task

    def paths(self, masks: Mapping[str, np.ndarray]) -> Paths:
        """Return the paths under `masks`, which must cover every prunable parameter."""
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(torch.tensor(np.asarray(masks[name])))
        shape = (1, self._task.channels, self._task.size, self._task.size)
        image = network_input(torch.ones(shape))
        # A network that draws random numbers draws them here too.
        with torch.random.fork_rng(devices=[]), PositivePropagation():
            output = self._model(image).sum()
        gradients = torch.autograd.grad(output, list(self._weights.values()), materialize_grads=True)
        connects = {name: (g > 0).numpy() for name, g in zip(self._weights, gradients, strict=True)}
        return Paths(
            {name: connected & masks[name] for name, connected in connects.items()},
            {name: connected & ~masks[name] for name, connected in connects.items()},
        )

    def check(self, masks: Mapping[str, np.ndarray]) -> Connectivity:
        """Return the connectivity under `masks`, which must cover every prunable parameter."""
        return self.judge(masks, self.paths(masks).used)

    def judge(self, masks: Mapping[str, np.ndarray], used: Mapping[str, np.ndarray]) -> Connectivity:
        """Return the connectivity under `masks`, given their weights on paths, `used`."""
        collapsed = tuple(name for name in used if not masks[name].any())
        cut = tuple(name for name, on_path in used.items() if name not in collapsed and not on_path.any())
        effective = sum(int(np.count_nonzero(on_path)) for on_path in used.values())
        shortcuts = None
        if self.shortcuts is not None:
            passed = {name: self.channels[name].outputs(used[name]) for name in self.shortcuts}
            shortcuts = {name: (int(outputs.sum()), outputs.size) for name, outputs in passed.items()}
        return Connectivity(
            1 - effective / sum(on_path.size for on_path in used.values()),
            collapsed,
            cut,
            {name: ChannelCount.of(self.channels[name], masks[name], on_path) for name, on_path in used.items()},
            shortcuts,
            self._limits,
        )


def _fix_computed_weights(model: nn.Module) -> None:
    """Make weights that layers compute (weight norm, a parametrisation) plain ones: none of them is ever pruned."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            weights = {name: getattr(module, name).detach() for name in cast(nn.ModuleDict, module.parametrizations)}
            # Not torch's remove_parametrizations, which takes the weight off the class that copies share.
            del module.parametrizations
            module.__class__ = type(module).__bases__[0]
            for name, weight in weights.items():
                module.register_parameter(name, nn.Parameter(weight))


def check_connected(masks: MaskSet, model: nn.Module, task: Task) -> None:
    """Raise InputError, naming the layer, for a mask set that collapses a layer or leaves no path.

    Parameters without a mask are kept whole.
    """
    shapes = {name: tuple(weight.shape) for name, weight in prunable(model).items()}
    whole = {name: np.asarray(masks[name]) if name in masks else np.ones(shape, bool) for name, shape in shapes.items()}
    if fault := PathCounter(model, task).check(whole).fault:
        raise InputError(f"this mask cannot be trained: {fault}; take another mask")
