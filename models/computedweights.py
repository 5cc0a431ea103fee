"""The weights from which a network's forward pass computes other ones: standardised, normalised or quantised."""

import copy
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .eager import uncompiled
from .errors import FAILURES
from .layers import COMPUTED, each_prunable, leave_dense
from .seeds import derive
from .task import Task

#: Images of the forward passes: batch normalisation needs two to train with where each channel has a single value.
_IMAGES = 2

#: Operations of aten that use a weight as it is: a weight of zero adds nothing to their result.
_USES = frozenset(
    [
        "linear",
        "matmul",
        "mm",
        "mv",
        "bmm",
        "addmm",
        "addmv",
        "addbmm",
        "baddbmm",
        "convolution",
        "_convolution",
        "embedding",
        "embedding_renorm_",
        "_embedding_bag",
        "_embedding_bag_forward_only",
        "_native_multi_head_attention",
        "_transformer_encoder_layer_fwd",
    ]
)

#: The same where the weight is the table of an embedding, as of positions that are added to the features.
_USES_OF_TABLES = frozenset(("add", "add_", "sub", "sub_", "mul", "native_dropout"))

#: Moves after which a table is a part of the features that it lies beside.
_JOINS = frozenset(("cat", "stack"))

#: Operations of aten besides views that move weights or change their dtype, and leave zeros zero.
_MOVES = _JOINS | frozenset(
    [
        "clone",
        "_to_copy",
        "_unsafe_view",
        "_reshape_alias",
        "repeat",
        "constant_pad_nd",
        "index",
        "index_select",
        "gather",
        "flip",
        "roll",
        "rot90",
    ]
)


def leave_computed_dense(model: nn.Module, task: Task) -> None:
    """Leave each prunable weight dense where the forward pass of `model` for `task` uses what it computes from it.

    A mask of the parameter would not remove what is used. Not used is a single number, like a penalty, that is added to
    features. A copy is called on random images, as in evaluation and as in training; `model` and its buffers are left
    as they were, and the global generators are moved. Where the network cannot be copied or fails, no weight is taken
    for one of these.
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


class _Followed(NamedTuple):
    """A tensor with the names of the weights that it holds as they are, and of those it was computed from."""

    # The tensor itself too: the id of one that is gone may be that of another.
    tensor: torch.Tensor
    held: frozenset[str]
    computed: frozenset[str]


class _Follower(TorchDispatchMode):
    """A mode that follows the prunable weights of `models`, alike, through all operations.

    `computed` names those from which something is computed that is used.
    """

    def __init__(self, *models: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.computed: set[str] = set()
        self._tables: set[str] = set()
        self._followed: dict[int, _Followed] = {}
        for name, module, weight in chain.from_iterable(map(each_prunable, models)):
            self._follow([weight], frozenset((name,)), frozenset())
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                self._tables.add(name)

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = _tensors((args, kwargs))
        if weights := [self._followed[id(each)] for each in given if id(each) in self._followed]:
            # A single number is no feature, but a constant.
            alone = all(id(each) in self._followed or each.numel() == 1 for each in given)
            self._note(func, weights, alone, _tensors(result))
        return result

    def _note(self, func: Any, weights: list[_Followed], alone: bool, results: list[torch.Tensor]) -> None:
        """Note an operation on `weights`, `alone` or with features."""
        operation = func.overloadpacket.__name__
        held = frozenset[str]().union(*(each.held for each in weights))
        computed = frozenset[str]().union(*(each.computed for each in weights))
        if func.is_view or operation in _MOVES:
            self._follow(results, held if alone or operation not in _JOINS else held - self._tables, computed)
        elif operation in _USES:
            if alone:
                self._follow(results, frozenset(), computed)
            else:
                self.computed |= computed
        elif not _only_shaped(operation):
            if operation in _USES_OF_TABLES:
                held -= self._tables - computed
            # A change in place is one of all views of the tensor.
            if alone and not func._schema.is_mutable:
                self._follow(results, frozenset(), held | computed)
            else:
                self.computed |= held.union(*(each.computed for each in weights if each.tensor.numel() > 1))

    def _follow(self, tensors: Sequence[torch.Tensor], held: frozenset[str], computed: frozenset[str]) -> None:
        if held or computed:
            self._followed |= {id(tensor): _Followed(tensor, held, computed) for tensor in tensors}


def _tensors(tree: object) -> list[torch.Tensor]:
    return [each for each in tree_leaves(tree) if isinstance(each, torch.Tensor)]


def _only_shaped(operation: str) -> bool:
    """Return whether the result has the shape or the dtype of the weight, and none of its values."""
    return operation.startswith("new_") or operation.endswith("_like")
