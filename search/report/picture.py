"""A picture as a file, and the pieces that pictures share."""

import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...models.errors import InputError
from ...models.files import check_target, write_atomically
from .style import GREY

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Endings of the file names of pictures.
SUFFIXES = (".png", ".pdf", ".svg")

_DOTS_PER_INCH = 150


def check_picture(path: Path) -> None:
    """Raise InputError for a file name that is no picture's, and where it cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: expected the name of a picture that ends in {', '.join(SUFFIXES)}")
    check_target(path)


def save_picture(figure: "Figure", path: Path) -> None:
    """Write `figure` to `path`, whole or not at all, in the format that the suffix names; make the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=_DOTS_PER_INCH)
    write_atomically(path, picture.getvalue())


def set_title(figure: "Figure", title: str) -> None:
    """Set the title of a picture; a $ in it, as names of files and layers may hold, begins no formula."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)


def set_heading(axes: "Axes", heading: str) -> None:
    """Set the heading of a panel, on a grid that lies behind what is drawn."""
    axes.set_title(heading, fontsize=10, loc="left", parse_math=False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def set_legend(axes: "Axes", more: "Mapping[str, Artist]" = MappingProxyType({})) -> None:
    """Set the legend to the right of a panel, where it hides no point: of each label the last artist, then `more`."""
    handles, labels = axes.get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True)) | dict(more)
    if not shown:
        return
    legend = axes.legend(
        shown.values(), shown.keys(), fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1)
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def say(axes: "Axes", words: str) -> None:
    """Write in the middle of a panel why there is nothing in it."""
    axes.text(0.5, 0.5, words, color=GREY, transform=axes.transAxes, ha="center", va="center")
