"""The registry of samplers; a new one is a file of its own and a line here. Nothing of a sampler is imported here."""

import json

from ...models.errors import InputError
from ...models.registry import Registry
from .sampler import Sampler

#: Each is called without arguments and returns a `Sampler`.
SAMPLERS = Registry(
    "sampler",
    __package__,
    {
        "tpe": ".tpe:TPE",
        "cmaes": ".cmaes:CMAES",
        "nsga2": ".nsga2:NSGA2",
        "qmc": ".qmc:QMC",
        "random": ".random:Random",
    },
    users="module:Class",
)


def sampler_called(name: str) -> Sampler:
    """Return the sampler called `name`. Raises InputError for a name that nothing has, a user's that is none."""
    return SAMPLERS.make(name, Sampler)


def check_sampler(name: str, objectives: tuple[str, ...]) -> None:
    """Raise InputError where the sampler called `name` cannot be guided by as many `objectives`."""
    if not sampler_called(name).several_objectives and len(objectives) > 1:
        raise InputError(
            f'search.sampler = "{name}" takes one objective, but objective = {json.dumps(objectives)}; '
            'set it to "nsga2" or "tpe"'
        )
