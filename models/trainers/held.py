"""A mask that is held on a network while another trainer trains it."""

import os
import warnings

from torch import nn

from ..errors import InputError
from ..maskrules.rule import Fixed
from ..masks import MaskSet, check_fits
from ..weightmasks import WeightMasks


class HeldMask:
    """The masks of `network`, whose removed weights are set to zero in place, at once and at each call of `zero`.

    `masks` is a mask set or the path of a mask file. The parameters stay what and where they are, so that optimizers,
    checkpoints, data-parallel wrappers and layers that share a weight see nothing but weights of zero; nothing is added
    to the state dict, as `masks.apply` adds it. Every process of a data-parallel training holds the masks by itself.
    Raises `InputError` where the masks do not fit the network, naming the submodule that they would fit; warns where
    they remove nothing.
    """

    def __init__(self, network: nn.Module, masks: MaskSet | str | os.PathLike[str]) -> None:
        given = masks if isinstance(masks, MaskSet) else MaskSet.load(masks)
        try:
            self._masks = WeightMasks(network, given, Fixed(), 0)
        except InputError as error:
            raise InputError(f"{error}{_fitting(network, given)}") from error
        self._layers = len(self._masks.tensors)
        self._size = sum(mask.numel() for mask in self._masks.tensors.values())
        if not self._masks.removed:
            warnings.warn(f"the mask removes none of the {self._size:,} weights of its layers", stacklevel=2)
        self.zero()

    def zero(self, *ignored: object) -> None:
        """Set every removed weight to zero; an optimizer may call it after each step."""
        self._masks.zero_removed_weights()

    @property
    def sparsity(self) -> float:
        """Fraction of the masked layers' weights that the masks remove and that are zero now, in [0, 1]."""
        return self._masks.zeros / self._size

    def __str__(self) -> str:
        return f"a mask holds {self._layers} layers at sparsity {self.sparsity:.4f} ({self._size:,} weights)"

    def finish(self) -> float:
        """Return `sparsity` at the end of a training; warn where a removed weight is not zero then."""
        if moved := self._masks.removed - self._masks.zeros:
            warnings.warn(
                f"{moved:,} removed weights are not zero at the end of the training: something beside the optimizer "
                "changed them; hold the mask where that is done, too",
                stacklevel=2,
            )
        return self.sparsity


def _fitting(network: nn.Module, masks: MaskSet) -> str:
    """Return which submodules of `network` the masks fit, for a message; an empty string where they fit none."""
    found = []
    for name, module in network.named_modules():
        try:
            check_fits(masks, dict(module.named_parameters(remove_duplicate=False)))
            found.append(name)
        except InputError:
            continue
    return f'; they fit its submodule "{found[0]}": MaskCallback(…, network="{found[0]}")' if found else ""
