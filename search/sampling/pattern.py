"""N:M patterns: of each group of M weights in a row, exactly N are kept."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from ...models.errors import InputError
from .layers import Shapes

#: The longest group: what hardware or a paper asks for is 4 to 32.
LONGEST = 1024


@dataclass(frozen=True)
class Pattern:
    """N:M sparsity: of each `length` weights in a row, `kept` are kept.

    A row is that of the weight unrolled to (out, in · kh · kw), and the groups of a layer begin at its first weight. A
    layer has the pattern where its rows divide into groups and its first axis is the output.
    """

    kept: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the pattern called `text`. Raises InputError unless that is N:M with 1 <= N < M <= `LONGEST`."""
        found = re.fullmatch(r"([0-9]{1,4}):([0-9]{1,4})", text)
        kept, length = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= kept < length <= LONGEST:
            raise InputError(
                f'"{text[:80]}" is no pattern N:M, as "2:4" is, of N kept weights among M; '
                f"expected 1 <= N < M <= {LONGEST}"
            )
        return cls(kept, length)

    def __str__(self) -> str:
        return f"{self.kept}:{self.length}"

    @property
    def sparsity(self) -> float:
        """Fraction of the weights of a layer with the pattern that is removed, in (0, 1)."""
        return 1 - self.kept / self.length

    def without(self, shapes: Shapes, inputs_first: Collection[str]) -> dict[str, str]:
        """Return the layers that cannot have the pattern and are kept whole, each with the reason in a few words."""
        reasons: dict[str, str] = {}
        for name, shape in shapes.items():
            width = math.prod(shape[1:])
            if name in inputs_first:
                reasons[name] = "its first axis is the input"
            elif width % self.length:
                reasons[name] = f"{width} inputs"
        return reasons

    def counts(self, shapes: Shapes, dense: Collection[str]) -> dict[str, int]:
        """Return the kept weights of each layer; those in `dense` are kept whole."""
        sizes = {name: math.prod(shape) for name, shape in shapes.items()}
        return {name: size if name in dense else size // self.length * self.kept for name, size in sizes.items()}

    def holds(self, mask: np.ndarray) -> bool:
        """Return whether a mask (out, …) has the pattern."""
        if mask[0].size % self.length:
            return False
        return bool((np.reshape(mask, (-1, self.length)).sum(axis=1) == self.kept).all())

    def top(self, keys: np.ndarray) -> np.ndarray:
        """Return the mask that keeps the highest `keys` of each group; ties are broken by index."""
        groups = np.reshape(keys, (-1, self.length))
        best = np.argsort(-groups, axis=1, kind="stable")[:, : self.kept]
        mask = np.zeros(groups.shape, dtype=bool)
        np.put_along_axis(mask, best, True, axis=1)
        return mask.reshape(np.shape(keys))


def pattern_of(metadata: Mapping[str, str]) -> Pattern | None:
    """Return the pattern that a mask file names; None where it names none, or something else."""
    try:
        return Pattern.parse(metadata["pattern"]) if "pattern" in metadata else None
    except InputError:
        return None
