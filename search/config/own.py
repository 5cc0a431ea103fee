"""The user's own functions and classes that a study names, as `module:function` or `module:Class`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...models.maskrules.registry import RULES
from ...models.registry import Registry
from ..samplers.registry import SAMPLERS, check_sampler
from ..sampling.registry import ALLOCATIONS
from ..scores.registry import SCORES, score_called
from ..sources.registry import ASCENT, SOURCES, source_called
from .searchable import Choices

if TYPE_CHECKING:
    from .study import Study


def import_own(study: "Study") -> None:
    """Import whatever of the user's own `study` names, apart from its network and its data, which are loaded anyway.

    To be called before anything is started. Raises InputError for what cannot be imported or is not of its kind.
    """
    search = study.search
    # Ascent starts from another source, which may be one's own.
    for name in _own(SOURCES, [name.removeprefix(f"{ASCENT}:") for name in search.sources]):
        source_called(name)
    for name in _own(SCORES, study.objectives):
        score_called(name)
    if SAMPLERS.is_users(search.sampler):
        check_sampler(search.sampler, study.objectives)
    for registry, setting in ((ALLOCATIONS, search.allocation), (RULES, study.training.mask)):
        for name in _own(registry, _names(setting)):
            registry.find(name)


def _own(registry: Registry, names: Iterable[str]) -> list[str]:
    """Return those of the names that are a user's own."""
    return [name for name in names if registry.is_users(name)]


def _names(setting: object) -> Iterable[str]:
    """Return the names that a setting has, fixed or to be chosen from."""
    return [str(name) for name in (setting.choices if isinstance(setting, Choices) else [setting])]
