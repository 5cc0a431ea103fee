"""The task of a network: what goes in and how many classes come out."""

from dataclasses import dataclass

from .errors import InputError


@dataclass(frozen=True)
class Task:
    """Images of `channels` x `size` x `size` pixels in `classes` classes. Raises `InputError` for impossible ones."""

    channels: int
    size: int
    classes: int

    def __post_init__(self) -> None:
        for field, least in (("channels", 1), ("size", 1), ("classes", 2)):
            value = getattr(self, field)
            if type(value) is not int or value < least:
                raise InputError(f"{field} must be an integer of at least {least}, but got {value!r}")

    def require_size(self, least: int, network: str) -> None:
        """Raise `InputError` when the images are smaller than `network` can take."""
        if self.size < least:
            raise InputError(f"{network} needs images of at least {least} x {least} pixels, but got {self.size}")
