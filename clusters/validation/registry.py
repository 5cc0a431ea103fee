"""The checks by target."""

from collections.abc import Callable, Mapping
from typing import Any

from .aws import check_aws
from .gcp import check_gcp
from .kuberay import check_rayjob
from .rayup import check_ray_up
from .skypilot import check_task

_Check = Callable[[Mapping[str, Any]], None]

#: The checks of the document of each target, in their order. The options of Slurm are checked where they are written.
CHECKS: dict[str, tuple[_Check, ...]] = {
    "static": (check_ray_up,),
    "aws": (check_ray_up, check_aws),
    "gcp": (check_ray_up, check_gcp),
    "kuberay": (check_rayjob,),
    "skypilot": (check_task,),
}


def validate(target: str, document: Mapping[str, Any]) -> None:
    """Check a document of a target by the schema that the target itself uses, without asking it.

    Raise DocumentError, in one line that names the place, for the first thing that the target would refuse.
    """
    for check in CHECKS.get(target, ()):
        check(document)
