"""What a study names that is no part of the package: the user's modules, files, folders of data."""

from dataclasses import dataclass
from pathlib import Path

from ...models.architectures.registry import NETWORKS
from ...models.datasets.registry import DATASETS
from ...models.maskrules.registry import RULES
from ..samplers.registry import SAMPLERS
from ..sampling.registry import ALLOCATIONS
from ..scores.registry import SCORES
from ..sources.registry import ASCENT, IMP, SOURCES
from .searchable import values_of
from .study import Study

#: How names of data sets begin that are folders of images, and of sources that are files.
_IMAGES, _FILE = "imagefolder:", "file:"


@dataclass(frozen=True)
class Named:
    """What a study names from outside the package."""

    modules: tuple[str, ...]
    """Modules of the user's own functions and classes."""
    files: tuple[str, ...]
    """Files of masks, as the study spells their paths."""
    folders: tuple[str, ...]
    """Folders of data, as the study spells their paths."""


def named_outside(study: Study) -> Named:
    """Return what a study names from outside the package, each once, in the order of the study; nothing is read."""
    search = study.search
    # Ascent starts from another source, and iterative pruning removes by one.
    sources = [name.removeprefix(f"{ASCENT}:").removeprefix(f"{IMP}:") for name in search.sources]
    named = [
        *((NETWORKS, name) for name in [study.model]),
        *((DATASETS, name) for name in [study.data]),
        *((SOURCES, name) for name in sources),
        *((SCORES, name) for name in study.objectives),
        *((SAMPLERS, name) for name in [search.sampler]),
        *((ALLOCATIONS, str(name)) for name in values_of(search.allocation)),
        *((RULES, str(name)) for name in values_of(study.training.mask)),
    ]
    modules = dict.fromkeys(name.partition(":")[0] for registry, name in named if registry.is_users(name))
    files = dict.fromkeys(name.removeprefix(_FILE) for name in sources if name.startswith(_FILE))
    folders = [_folder(study.data)] if study.data.startswith(_IMAGES) else []
    return Named(tuple(modules), tuple(files), tuple(folders))


def _folder(data: str) -> str:
    """Return the PATH of `imagefolder:PATH[@SIZE]`."""
    rest = data.removeprefix(_IMAGES)
    path, at, size = rest.rpartition("@")
    # A folder may have an @ in its own name; whether it is there this machine may not know.
    return path if at and size.isdecimal() and not Path(rest).is_dir() else rest
