"""Datasets by name, and their batches."""

import inspect
from collections.abc import Mapping

from .batches import batches, class_balanced_batch, evaluation_batches
from .dataset import Data, Split
from .datasets.registry import DATASETS
from .errors import FAILURES, InputError, first_line
from .task import Task
from .userfunction import call, resolve

__all__ = ["DATASETS", "Data", "Split", "Task", "batches", "class_balanced_batch", "evaluation_batches", "load"]


def load(name: str, seed: int = 0) -> Data:
    """Load the dataset `name`: one of `DATASETS`, `imagefolder:PATH`, `imagefolder:PATH@SIZE`, or `module:function`.

    A user's function returns a `Data`, or what `Data.from_arrays` takes: {"train": (images, labels), "val": …,
    "test": …}, "val" optional. It is given `seed` as a keyword if it has such a parameter; all other datasets are the
    same, splits included, whatever the seed.
    Raises `InputError` for an unknown name, and for files and functions that do not give a dataset.
    """
    return _from_user(name, seed) if DATASETS.is_users(name) else DATASETS.find(name)()


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
            f"but returned a {type(result).__name__}"
        )
    try:
        splits = dict(result)
    except FAILURES as error:
        raise InputError(f'"{reference}" returned a mapping that cannot be read ({first_line(error)})') from error
    return Data.from_arrays(reference, splits)
