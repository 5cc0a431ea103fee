"""The settings of the full-spectrum distance, in words."""

from typing import Literal, get_args

#: The point that the distance is measured from.
Reference = Literal["origin", "random", "dense"]

#: How layers combine to one distance.
Aggregate = Literal["sum", "mean_vector"]

#: The words that they take.
REFERENCES: tuple[str, ...] = get_args(Reference)
AGGREGATES: tuple[str, ...] = get_args(Aggregate)
