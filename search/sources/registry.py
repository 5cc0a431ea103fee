"""The registry of mask sources; a new one is a file of its own and a line here. Nothing of a source is imported."""

from typing import TYPE_CHECKING

from ...models.errors import InputError
from ...models.registry import Prefix, Registry

if TYPE_CHECKING:
    from .source import Source

#: How the names of sources that climb begin.
ASCENT = "ascent"


def check_start(start: str) -> None:
    """Raise InputError where `start` is no source that an ascent can start from."""
    if not start:
        raise InputError(f'unknown source "{ASCENT}:", did you mean "{ASCENT}"? A source may follow, as in ascent:snip')
    if start.partition(":")[0] == ASCENT:
        raise InputError(f"unknown source '{ASCENT}:{start}'; ascent starts from another source, as in ascent:snip")
    SOURCES.check(start)


#: How the names of sources that prune iteratively begin.
IMP = "imp"

#: Sources that score the weights of any network at once, which iterative pruning takes in the place of magnitude.
SALIENCIES = ("magnitude", "snip", "grasp", "synflow")


def check_saliency(saliency: str) -> None:
    """Raise InputError where `saliency` is no source that iterative pruning can remove weights by."""
    if not SOURCES.is_users(saliency) and saliency not in SALIENCIES:
        known = ", ".join(f"{IMP}:{name}" for name in SALIENCIES)
        raise InputError(
            f'unknown source "{IMP}:{saliency}"; iterative pruning removes by a saliency of the trained weights '
            f"(known: {IMP}, {known}, {IMP}:module:Class)"
        )


#: Each is called without arguments (with the rest of the name, of a prefix) and returns a `Source`.
SOURCES = Registry(
    "source",
    __package__,
    {
        "random": ".random:Random",
        "magnitude": ".magnitude:Magnitude",
        "snip": ".snip:Snip",
        "iterative-snip": ".iterative_snip:IterativeSnip",
        "grasp": ".grasp:GraSP",
        "synflow": ".synflow:SynFlow",
        "biregular": ".biregular:Biregular",
        ASCENT: ".ascent:Ascent",
        IMP: ".imp:IMP",
        "gem-miner": ".gem_miner:GemMiner",
        "edge-popup": ".edge_popup:EdgePopup",
    },
    {
        "file:": Prefix(".file:MaskFile", "PATH"),
        f"{ASCENT}:": Prefix(".ascent:Ascent", "SOURCE", check_start),
        f"{IMP}:": Prefix(".imp:IMP", "SOURCE", check_saliency),
    },
    users="module:Class",
)


def source_called(name: str) -> "Source":
    """Return the source called `name`. Raises InputError for a name that nothing has, and for a user's that is none."""
    # Here, because a source needs torch, and names are checked without it.
    from .source import Source

    return SOURCES.make(name, Source)
