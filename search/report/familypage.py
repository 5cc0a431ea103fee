"""The report of several studies as one HTML page, and beside it a page for each of them."""

from collections.abc import Sequence
from pathlib import Path

from ...models.files import write_atomically
from ..names import Artifact
from .contents import Contents
from .overview import WORDS, Overview, differing, notes, pools
from .overviewplot import plot_overviews
from .page import embedded, write_report
from .rendering import render


def write_family_report(name: str, members: Sequence[tuple[Contents, Overview]], folder: Path) -> Path:
    """Write the page of the studies of the file `name` into `folder`, which is made; return its path.

    The page of each study lies in a folder called by its id.
    """
    for contents, overview in members:
        write_report(contents, folder / overview.study.id)
    overviews = [overview for _, overview in members]
    trained = any(each.trained for each in overviews)
    if trained:
        plot_overviews(overviews, f"{name}: {len(overviews)} studies", folder / Artifact.FAMILY_PLOT)
    settings = differing([each.study for each in overviews])
    page = render(
        "family.html.j2",
        name=name,
        members=[(contents, each, each.cells(own)) for (contents, each), own in zip(members, settings, strict=True)],
        words=WORDS,
        pools=pools(overviews),
        notes=notes(overviews),
        picture=embedded(folder / Artifact.FAMILY_PLOT) if trained else None,
        report=Artifact.REPORT,
    )
    return write_atomically(folder / Artifact.REPORT, page.encode())
