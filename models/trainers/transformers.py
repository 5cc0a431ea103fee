"""A mask in the Trainer of Hugging Face's Transformers."""

import os
from typing import Any

from torch import nn

from ..masks import MaskSet
from .held import HeldMask

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
    from transformers.utils import logging
except ImportError as error:
    raise ImportError(f"this callback needs Transformers ({error}): pip install 'fullspectrum[transformers]'") from None


class MaskCallback(TrainerCallback):
    """A callback that holds removed weights at zero, from the start of a training on and after every optimizer step.

    `masks` is a mask set or the path of a mask file. `network` names the submodule of the model that the masks are for;
    by default they are for the model itself. The sparsity of the weights is said at the start, and stands as
    "sparsity" in the log history at the end. Not for weights that are cut into pieces (FSDP, DeepSpeed ZeRO-3). Raises
    `InputError` as `HeldMask` does, when the training starts.
    """

    def __init__(self, masks: MaskSet | str | os.PathLike[str], network: str = "") -> None:
        self._masks = masks if isinstance(masks, MaskSet) else MaskSet.load(masks)
        self._network = network

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Mask the weights, those of a checkpoint too."""
        model: nn.Module = kwargs["model"]
        self._held = HeldMask(model.get_submodule(self._network), self._masks)
        logging.get_logger(__name__).info(str(self._held))

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Mask the weights again."""
        self._held.zero()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note the sparsity of the weights as they are."""
        state.log_history.append({"sparsity": self._held.finish(), "step": state.global_step})
