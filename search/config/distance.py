"""The settings of the coordinate and of the full-spectrum distance, in words."""

from typing import Literal, get_args

#: The point that the distance is measured from.
Reference = Literal["origin", "random", "dense", "start"]

#: How layers combine to one distance.
Aggregate = Literal["sum", "mean_vector"]

#: The definition of the coordinate: the paper's, or that of its first author's working code.
Variant = Literal["paper", "authors"]

#: The words that they take.
REFERENCES: tuple[str, ...] = get_args(Reference)
AGGREGATES: tuple[str, ...] = get_args(Aggregate)
VARIANTS: tuple[str, ...] = get_args(Variant)
