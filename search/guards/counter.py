"""The weights of a network that lie on a path from its input to an output."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from ...models.errors import InputError, first_line
from ...models.layers import layout, prunable
from ...models.masks import MaskSet
from ...models.task import Task
from ..console import warn
from ..paths.derivatives import Derivatives
from ..paths.propagation import Propagation
from ..paths.trace import Untraceable, trace
from .channels import ChannelCount, Channels
from .connectivity import NO_LIMITS, Connectivity, Limits
from .shortcuts import projection_shortcuts


@dataclass(frozen=True)
class Paths:
    """The weights on input-output paths of a mask set: boolean arrays of the parameters' shapes, by name."""

    used: Mapping[str, np.ndarray]
    """Kept weights on a path."""
    completing: Mapping[str, np.ndarray]
    """Removed weights that would each complete a path alone."""


class PathCounter:
    """A finder of the weights on input-output paths of one network; made once, and used for each mask set.

    A weight lies on a path where what it multiplies depends on the input, and an output depends on what it adds to. The
    operations of the network's trace say so; see `rules`. Where it has none, derivatives estimate it, and `estimated`
    says why.
    """

    def __init__(self, model: nn.Module, task: Task, limits: Limits = NO_LIMITS):
        weights = prunable(model)
        lies = layout(model)
        self.channels = {name: Channels(lies.groups.get(name, 1), name in lies.inputs_first) for name in weights}
        self.shortcuts: tuple[str, ...] | None = None
        """Parameters of the projection shortcuts; None where they are not known."""
        self.estimated: str | None = None
        """Why the paths are an estimate; None where they are not."""
        self._limits = limits
        self._finder: Propagation | Derivatives
        try:
            traced = trace(model, task)
            self._finder = Propagation(traced, set(weights))
            self.shortcuts = projection_shortcuts(traced, weights)
            # Once here: what cannot be propagated at all is not found in the middle of a search.
            self._finder.connects({name: np.ones(tuple(weight.shape), dtype=bool) for name, weight in weights.items()})
        except Exception as error:  # noqa: BLE001 - torch may record what nobody foresaw
            self.estimated = textwrap.shorten(
                str(error) if isinstance(error, Untraceable) else first_line(error), 200, placeholder=" …"
            )
            self.shortcuts = None
            self._finder = Derivatives(model, task)

    def warn_estimated(self) -> None:
        """Warn in one line where the paths are an estimate."""
        if self.estimated:
            warn(
                f"torch cannot trace this network ({self.estimated}): derivatives estimate which weights lie on "
                "a path, and a mask is refused for an empty layer alone"
            )

    def paths(self, masks: Mapping[str, np.ndarray]) -> Paths:
        """Return the paths under `masks`, which must cover every prunable parameter."""
        connects = self._finder.connects({name: np.asarray(masks[name], dtype=bool) for name in self.channels})
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
            estimated=self.estimated is not None,
        )


def check_connected(masks: MaskSet, model: nn.Module, task: Task) -> None:
    """Raise InputError, naming the layer, for a mask set that collapses a layer or leaves no path.

    Parameters without a mask are kept whole.
    """
    shapes = {name: tuple(weight.shape) for name, weight in prunable(model).items()}
    whole = {name: np.asarray(masks[name]) if name in masks else np.ones(shape, bool) for name, shape in shapes.items()}
    counter = PathCounter(model, task)
    counter.warn_estimated()
    if fault := counter.check(whole).fault:
        raise InputError(f"this mask cannot be trained: {fault}; take another mask")
