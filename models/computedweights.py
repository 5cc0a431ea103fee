"""The weights from which a network's forward pass computes other ones: standardised, normalised or quantised."""

import contextlib
import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .errors import FAILURES
from .layers import COMPUTED, each_prunable, leave_dense
from .seeds import derive
from .task import Task

#: Images of the forward passes: batch normalisation needs two to train with where each channel has a single value.
_IMAGES = 2

#: Operations of aten that use a weight as it is: a weight of zero adds nothing to their result.
_USES = frozenset(
    (
        *("linear", "matmul", "mm", "mv", "bmm", "addmm", "addmv", "addbmm", "baddbmm", "convolution", "_convolution"),
        *("embedding", "embedding_renorm_", "_embedding_bag", "_embedding_bag_forward_only"),
        *("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
    )
)

#: The same where the weight is the table of an embedding, as of positions that are added to the features.
_USES_OF_TABLES = frozenset(("add", "add_", "sub", "sub_"))

#: Operations of aten besides views that move weights or change their dtype, and leave zeros zero.
_MOVES = frozenset(
    (
        *("clone", "_to_copy", "_unsafe_view", "_reshape_alias", "cat", "stack", "repeat", "constant_pad_nd"),
        *("index", "index_select", "gather", "flip", "roll", "rot90"),
    )
)


def leave_computed_dense(model: nn.Module, task: Task) -> None:
    """Leave each prunable weight dense from which the forward pass of `model` for `task` computes something else.

    What uses such a weight is computed: a mask of the parameter would not remove it. A copy is called on random
    images, as in evaluation and as in training; `model` and its buffers are left as they were, and the global
    generators are moved. Where the network cannot be copied or fails, no weight is taken for one of these.
    """
    # Only networks that hold a layer whose weight can be pruned are tried.
    if not any(True for _ in each_prunable(model)):
        return
    generator = torch.Generator().manual_seed(derive(0, "computed weights"))
    images = torch.randn(_IMAGES, task.channels, task.size, task.size, generator=generator)
    try:
        trial = copy.deepcopy(model)
        # The weights of the network too: a forward pass that was put in the place of another may hold them.
        follower = _Follower(trial, model)
        with torch.no_grad(), uncompiled(), follower:
            for training in (False, True):
                trial.train(training)(images)
    except FAILURES:  # Whatever fails in a user's forward pass is told where the network is tried.
        return
    leave_dense(model, follower.computed, COMPUTED)


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Let a network that torch compiles run as it is written, each operation seen."""
    # It takes a second to import, and whoever has compiled anything has it.
    if compiler := sys.modules.get("torch._dynamo"):
        with torch.compiler.set_stance("force_eager"), compiler.config.patch(error_on_nested_fx_trace=False):
            yield
    else:
        yield


class _Follower(TorchDispatchMode):
    """A mode that follows the prunable weights of `models`, alike, through all operations.

    `computed` names those from which something else is computed.
    """

    def __init__(self, *models: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.computed: set[str] = set()
        self._tables: set[str] = set()
        # The tensors themselves too: the id of one that is gone may be that of another.
        self._followed: dict[int, tuple[torch.Tensor, frozenset[str]]] = {}
        for name, module, weight in chain.from_iterable(map(each_prunable, models)):
            self._followed[id(weight)] = weight, frozenset((name,))
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                self._tables.add(name)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [self._followed[id(each)][1] for each in tree_leaves((args, kwargs)) if id(each) in self._followed]
        names = frozenset[str]().union(*given)
        if names:
            self._note(func, names, [each for each in tree_leaves(result) if isinstance(each, torch.Tensor)])
        return result

    def _note(self, func: Any, names: frozenset[str], results: list[torch.Tensor]) -> None:
        operation = func.overloadpacket.__name__
        if func.is_view or operation in _MOVES:
            self._followed |= {id(result): (result, names) for result in results}
        elif operation in _USES_OF_TABLES:
            self.computed |= names - self._tables
        elif results and operation not in _USES and not _only_shaped(operation):
            self.computed |= names


def _only_shaped(operation: str) -> bool:
    """Return whether the result has the shape or the dtype of the weight, and none of its values."""
    return operation.startswith("new_") or operation.endswith("_like")
