"""The user's own functions and classes that a study names, as `module:function` or `module:Class`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...models.maskrules.registry import RULES
from ...models.registry import Registry
from ..samplers.registry import SAMPLERS, check_sampler
from ..sampling.registry import ALLOCATIONS
from ..scores.registry import SCORES, score_called
from ..sources.registry import ASCENT, IMP, SOURCES, source_called
from .searchable import values_of

if TYPE_CHECKING:
    from .study import Study


def import_own(study: "Study") -> None:
    """Import whatever of the user's own `study` names, apart from its network and its data, which are loaded anyway.

    To be called before anything is started. Raises InputError for what cannot be imported or is not of its kind.
    """
    search = study.search
    # Ascent starts from another source, and iterative pruning removes by one: it may be one's own.
    names = [name.removeprefix(f"{ASCENT}:").removeprefix(f"{IMP}:") for name in search.sources]
    for name in _own(SOURCES, names):
        source_called(name)
    for name in _own(SCORES, study.objectives):
        score_called(name)
    if SAMPLERS.is_users(search.sampler):
        check_sampler(search.sampler, study.objectives)
    for registry, setting in ((ALLOCATIONS, search.allocation), (RULES, study.training.mask)):
        for name in _own(registry, values_of(setting)):
            registry.find(name)


def _own(registry: Registry, names: Iterable[str]) -> list[str]:
    """Return those of the names that are a user's own."""
    return [name for name in names if registry.is_users(name)]
