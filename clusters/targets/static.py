"""Machines that stand already: by the address of their head, or started over SSH."""

from .rented import RentedTarget


class StaticTarget(RentedTarget):
    pass
