"""The connectivity of a mask set: collapsed layers, paths, dead channels, shortcuts, effective sparsity."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .channels import ChannelCount


@dataclass(frozen=True)
class Limits:
    """The limits within which a mask may train; the defaults allow every mask."""

    dead_channels: float = 1.0
    """Greatest fraction of channels on no path, in [0, 1]."""
    shortcut_coverage: float = 0.0
    """Least fraction of the output channels of every projection shortcut on a path through it, in [0, 1]."""


NO_LIMITS = Limits()


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
    limits: Limits = field(default=NO_LIMITS, compare=False, repr=False)
    unrepaired: str | None = field(default=None, compare=False)
    """Why a repair did not succeed; None where none was tried."""
    estimated: bool = field(default=False, compare=False)
    """Whether the paths are an estimate: then a collapsed layer alone is a fault."""

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
        if self.estimated:
            return None
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
