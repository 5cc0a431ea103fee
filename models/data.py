"""Datasets by name, and their batches."""

import inspect
from collections.abc import Callable, Mapping

from .batches import batches, class_balanced_batch, evaluation_batches
from .dataset import Data, Split
from .datasets import digits, imagefolder, imagenet, tinyimagenet, torchvision
from .errors import InputError, nearest
from .task import Task
from .userfunction import call, resolve

__all__ = ["DATASETS", "Data", "Split", "Task", "batches", "class_balanced_batch", "evaluation_batches", "load"]

DATASETS: dict[str, Callable[[], Data]] = {
    "digits": digits.load,
    "cifar10": torchvision.cifar10,
    "cifar100": torchvision.cifar100,
    "svhn": torchvision.svhn,
    "tiny-imagenet": tinyimagenet.load,
    "imagenet": imagenet.load,
}


def load(name: str, seed: int = 0) -> Data:
    """Load the dataset `name`: one of `DATASETS`, `imagefolder:PATH`, `imagefolder:PATH@SIZE`, or `module:function`.

    A user's function returns a `Data`, or what `Data.from_arrays` takes: {"train": (images, labels), "val": …,
    "test": …}, "val" optional. It is given `seed` as a keyword if it has such a parameter; all other datasets are the
    same, splits included, whatever the seed.
    Raises `InputError` for an unknown name, and for files and functions that do not give a dataset.
    """
    if name in DATASETS:
        return DATASETS[name]()
    kind, _, rest = name.partition(":")
    if kind == "imagefolder" and rest:
        return imagefolder.load(rest)
    if kind and rest:
        return _from_user(name, seed)
    raise InputError(
        f'unknown data "{name}"{nearest(name, DATASETS)} '
        f"(known: {', '.join(DATASETS)}, imagefolder:PATH, imagefolder:PATH@SIZE, module:function)"
    )


def _from_user(reference: str, seed: int) -> Data:
    function = resolve(reference)
    try:
        takes_seed = "seed" in inspect.signature(function).parameters
    except ValueError:  # Some builtins have no signature.
        takes_seed = False
    result = call(reference, **({"seed": seed} if takes_seed else {}))
    if isinstance(result, Data):
        return result
    if not isinstance(result, Mapping):
        raise InputError(
            f'"{reference}" must return a Data, or a mapping of train, val and test to (images, labels), '
            f"but returned a {type(result).__name__}."
        )
    return Data.from_arrays(reference, result)
