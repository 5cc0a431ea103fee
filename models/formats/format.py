"""A file format of masks and initial weights."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import ClassVar

import torch

from ..errors import InputError
from ..masks import HasShape, MaskSet


class Format:
    """A way to write a mask set and its initial weights to files, and to read them back."""

    #: One line for lists of formats.
    description: ClassVar[str]

    #: Whether masks cannot be written without weights.
    needs_weights: ClassVar[bool] = False

    #: Whether removed weights are written as 0, so that what they were is lost.
    zeroes_removed: ClassVar[bool] = False

    #: Whether a mask is read as "what is not 0", so that a kept weight of exactly 0 counts as removed.
    infers_masks: ClassVar[bool] = False

    #: Whether the file names parameters; where not, `load` calls the masks "0", "1", … and `named` knows better.
    names_parameters: ClassVar[bool] = True

    #: A Python program that loads a file in its trainer. `$file` and `$weights` are the literals of the names of the
    #: file and of the weights beside it, `$strict` whether the network has no other parameters than the file, and
    #: `$format` the literal of the format's name. Lines that end with `# weights` are left out where there are none.
    template: ClassVar[str] = '''\
"""Give a network its initial weights, where the file has them, and its masks."""

from pathlib import Path

from fullspectrum.models import apply
from fullspectrum.models.formats import load as read

HERE = Path(__file__).parent


def load(model):
    """Return `model`, masked as torch.nn.utils.prune does."""
    masks, weights = read($format, HERE / $file)
    if weights is not None:
        model.load_state_dict(weights, strict=$strict)
    return apply(model, masks)
'''

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write `masks` and `state`, the whole state dict that they fit, names alike; return the paths written.

        The first of them is `path`. `state` is None for masks alone, never where the format `needs_weights`. A weight
        that layers share has its mask under one name, and in `state` one tensor under each of its names; the format
        writes what the receiving module needs under each. Each file is written whole or not at all. Raises
        `InputError` for a path that cannot be written to, and for masks that the format has no place for.
        """
        raise NotImplementedError

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor] | None]:
        """Read back what `save` wrote, or anybody else; the state dict is None where there are no weights.

        A file is a stranger's: sizes are checked before memory is taken, nothing in it is run.
        Raises `InputError`, naming the file, for whatever is not a complete file of this format.
        """
        raise NotImplementedError

    def named(self, masks: MaskSet, parameters: Mapping[str, HasShape]) -> MaskSet:
        """Return masks that `load` returned under the names of `parameters`, in their order, of the same network."""
        return masks

    def recognises(self, content: object) -> bool:
        """Return whether `content`, of a file of torch.save, looks like this format's. Few values are read from it."""
        return False

    def snippet(self, path: Path, name: str, *, weights: bool, strict: bool) -> str:
        """Return the Python program that loads the file `path` of the format called `name` in its trainer.

        It has a function `load`. `weights` says whether they were written, `strict` whether the network has no other
        parameters than the file.
        """
        text = "".join(line for line in self.template.splitlines(True) if weights or not line.endswith("# weights\n"))
        # ascii, because a file may have any name.
        return Template(text.replace("  # weights\n", "\n")).substitute(
            file=ascii(path.name), weights=ascii(self.weights_beside(path).name), strict=strict, format=ascii(name)
        )

    def weights_beside(self, path: Path) -> Path:
        """Return the file of the weights beside a file of masks: `best.init.pt` beside `best.pt`."""
        suffix = path.suffix if path.suffix in (".pt", ".pth") else ""
        return path.with_name(f"{path.name.removesuffix(suffix)}.init{suffix or '.pt'}")

    def check_none_beside(self, path: Path) -> None:
        """Raise `InputError` where weights stand beside masks that are to have none: a reader would take them."""
        if (beside := self.weights_beside(path)).exists():
            raise InputError(f"cannot write {path} without weights: {beside} stands beside it; remove it first")
