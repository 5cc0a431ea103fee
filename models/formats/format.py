"""A file format of masks and initial weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from ..masks import MaskSet


class Format:
    """A way to write a mask set and its initial weights to files, and to read them back."""

    #: One line for lists of formats.
    description: ClassVar[str]

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor]) -> list[Path]:
        """Write `masks` and `state`, the whole state dict that they fit, names alike; return the paths written.

        A weight that layers share has its mask under one name, and in `state` one tensor under each of its names; the
        format writes what the receiving module needs under each. Each file is written whole or not at all. Raises
        `InputError` for a path that cannot be written to.
        """
        raise NotImplementedError

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
        """Read back what `save` wrote, or anybody else; the state dict is None where there are no weights.

        A file is a stranger's: sizes are checked before memory is taken, nothing in it is run.
        Raises `InputError`, naming the file, for whatever is not a complete file of this format.
        """
        raise NotImplementedError
