"""A picture as a file."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import InputError
from ...models.files import check_target, write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Endings of the file names of pictures.
SUFFIXES = (".png", ".pdf", ".svg")

#: Okabe-Ito colours, distinct in every common colour blindness, and a grey for what is no mask of a source.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8A8A8A"

_DOTS_PER_INCH = 150


def check_picture(path: Path) -> None:
    """Raise InputError for a file name that is no picture's, and where it cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected the name of a picture that ends in {', '.join(SUFFIXES)}")
    check_target(path)


def save_picture(figure: "Figure", path: Path) -> None:
    """Write `figure` to `path`, whole or not at all, in the format that the suffix names."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=_DOTS_PER_INCH)
    write_atomically(path, picture.getvalue())
