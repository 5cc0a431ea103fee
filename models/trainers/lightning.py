"""A mask in Lightning's Trainer."""

import os

from torch import nn

from ..masks import MaskSet
from .held import HeldMask

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.utilities import rank_zero_info
except ImportError as error:
    raise ImportError(f"this callback needs Lightning ({error}): pip install 'fullspectrum[lightning]'") from None


class MaskCallback(Callback):
    """A callback that holds removed weights at zero, from the start of a fit on and after every optimizer step.

    `masks` is a mask set or the path of a mask file. `network` names the submodule of the LightningModule that the
    masks are for; by default they are for the module itself. The sparsity of the weights is said at the start, and
    logged as "sparsity" at the end. Not for strategies that cut weights into pieces (FSDP, DeepSpeed ZeRO-3). Raises
    `InputError` as `HeldMask` does, when the fit starts.
    """

    def __init__(self, masks: MaskSet | str | os.PathLike[str], network: str = "") -> None:
        self._masks = masks if isinstance(masks, MaskSet) else MaskSet.load(masks)
        self._network = network

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Mask the weights, those of a checkpoint too, and let every optimizer mask them after each of its steps."""
        network: nn.Module = pl_module.get_submodule(self._network)
        self._held = HeldMask(network, self._masks)
        # Not at the end of a batch: with manual optimisation a batch may have several steps.
        self._hooks = [optimizer.register_step_post_hook(self._held.zero) for optimizer in trainer.optimizers]
        rank_zero_info(str(self._held))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the sparsity of the weights as they are."""
        sparsity = self._held.finish()
        for logger in trainer.loggers:
            logger.log_metrics({"sparsity": sparsity}, trainer.global_step)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the optimizers alone."""
        for hook in self._hooks:
            hook.remove()
