"""The inputs that all workers of a search share, in Ray's object store."""

from dataclasses import dataclass

import ray
from torch import Tensor

from ...models.data import Data
from ...models.networks import initial_state
from .workbench import Workbench


@dataclass(frozen=True)
class SharedInputs:
    """References to the data and to the initial weights; all workers of a machine map the same memory."""

    data: "ray.ObjectRef[Data]"
    state: "ray.ObjectRef[dict[str, Tensor]]"

    @classmethod
    def put(cls, workbench: Workbench, state: dict[str, Tensor] | None = None) -> "SharedInputs":
        """Return references to the data of `workbench` and to the `state` that trainings start from, its own if None.

        Both are put into the object store.
        """
        return cls(ray.put(workbench.data), ray.put(initial_state(workbench.model) if state is None else state))
