"""Labels: the names by which trials, baselines and their full trainings are called."""

from typing import Self


class Label(str):
    """The name of a mask or a baseline in tables, in the record and in the ledger."""

    __slots__ = ()

    @classmethod
    def of_trial(cls, number: int) -> Self:
        """Return the label of trial `number`."""
        return cls(f"trial {number}")

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline's, and no trial's."""
        return self in BASELINES

    @property
    def number(self) -> int | None:
        """The number of the trial; None where it is no trial's."""
        word, _, number = self.partition(" ")
        return int(number) if word == "trial" and number.isdecimal() else None


DENSE = Label("dense")
"""No mask at all."""
ERK_RANDOM = Label("erk-random")
"""A random mask at the same sparsity, shared among the layers by ERK."""
ERK_RANDOM_EQUAL_COST = Label("erk-random-equal-cost")
"""The mask of `erk-random`, trained for as many steps as the winner has cost in all."""
SHUFFLED = Label("shuffled")
"""The mask with its kept weights moved at random within each layer: the same layer sparsities, nothing else of it."""
REINITIALISED = Label("reinitialised")
"""The mask on other initial weights than those it was made for."""
INVERTED = Label("inverted")
"""The same layer sparsities, but the weights of the lowest scores kept instead of the highest."""

BASELINES = (DENSE, ERK_RANDOM, ERK_RANDOM_EQUAL_COST, SHUFFLED, REINITIALISED, INVERTED)

#: What a mask itself becomes in the sanity checks of Su et al. (NeurIPS 2020) and Frankle et al. (ICLR 2021).
CHECKS = (SHUFFLED, REINITIALISED, INVERTED)
