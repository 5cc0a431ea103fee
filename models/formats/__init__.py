"""File formats in which a mask set and its initial weights are handed to another trainer, one file each."""

from typing import TYPE_CHECKING

from ..lazy import lazily
from .registry import FORMATS

if TYPE_CHECKING:
    from .conversion import export, load
    from .format import Format
    from .reading import Found, read
    from .recognition import recognise

__all__ = ["FORMATS", "Format", "Found", "export", "load", "read", "recognise"]

__getattr__ = lazily(
    __name__,
    {
        "export": ".conversion",
        "load": ".conversion",
        "Format": ".format",
        "Found": ".reading",
        "read": ".reading",
        "recognise": ".recognition",
    },
)
