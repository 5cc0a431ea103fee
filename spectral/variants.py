"""The variants of the coordinate: as the paper defines it, and as its first author's working code computes it."""

from typing import Any

#: Mean left degree, and in the paper right degree too, below which a graph has no Ramanujan bound.
MIN_DEGREE = 3


class Variant:
    """The coordinate as the paper defines it (Hoang, Kundu, Liu and Wang, NeurIPS 2023)."""

    name = "paper"

    #: Left nodes that share a degree, from which on they make a nested subgraph.
    min_shared = 3

    def bounded(self, left_degree: Any, right_degree: Any) -> Any:
        """Return whether graphs of these mean degrees, numbers or arrays, have a Ramanujan bound: both are at least 3.

        A nested subgraph counts where it has one.
        """
        return (left_degree >= MIN_DEGREE) & (right_degree >= MIN_DEGREE)

    def weighs(self, left_degree: float, right_degree: float) -> bool:
        """Return whether λ is defined for a graph of these mean degrees with two nodes on each side: always."""
        return True

    def factor(self, left: int, right: int) -> float:
        """Return what the gaps of a nested subgraph are multiplied by in the iterative means: 1."""
        return 1.0


class AuthorsVariant(Variant):
    """The coordinate as the paper's first author ran it (github.com/ScottHoang/dst-ram-pruning, `ramanujan.py`)."""

    name = "authors"
    min_shared = 2

    def bounded(self, left_degree: Any, right_degree: Any) -> Any:
        """Return whether the mean left degree is at least 3 and the mean right degree above 1."""
        return (left_degree >= MIN_DEGREE) & (right_degree > 1)

    def weighs(self, left_degree: float, right_degree: float) -> bool:
        """Return whether the graph has a Ramanujan bound."""
        return bool(self.bounded(left_degree, right_degree))

    def factor(self, left: int, right: int) -> float:
        """Return max(l, r) / (l + r − 1)."""
        return max(left, right) / (left + right - 1)


PAPER, AUTHORS = Variant(), AuthorsVariant()

#: By the names that a study's `variant` takes.
VARIANTS: dict[str, Variant] = {variant.name: variant for variant in (PAPER, AUTHORS)}
