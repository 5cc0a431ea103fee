"""Which mask and which weights of a training are to leave the record."""

from dataclasses import dataclass
from typing import Self

from ...models.errors import InputError

#: Which mask of a training, and which weights: those that it starts from, or those of its end.
START, END = "start", "end"
#: No weights.
NONE = "none"


@dataclass(frozen=True)
class Choice:
    """Which of the masks of a training, and which of the weights, are wanted."""

    mask: str = START
    weights: str = START

    @classmethod
    def of(cls, mask: str, weights: str | None) -> Self:
        """Return the choice of two options; without one the weights are those of the mask. Raises InputError."""
        for option, value, known in (("mask", mask, (START, END)), ("weights", weights or mask, (START, END, NONE))):
            if value not in known:
                raise InputError(f'--{option} "{value}": expected {", ".join(known[:-1])} or {known[-1]}')
        return cls(mask, weights or mask)
