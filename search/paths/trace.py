"""The operations of a network, recorded while it computes the logits of one image."""

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...models.eager import uncompiled
from ...models.errors import first_line
from ...models.placement import image_dtype
from ...models.task import Task

#: What torch writes about a network that it cannot trace; the reason stands in `Untraceable`.
_LOGGERS = ("torch.fx.experimental.symbolic_shapes", "torch.fx.experimental.proxy_tensor", "torch._subclasses")


class Untraceable(Exception):
    """A network whose operations cannot be recorded, with the reason."""


@dataclass(frozen=True)
class Trace:
    """A network as operations of ATen without side effects, for one image."""

    nodes: tuple[fx.Node, ...]
    """Placeholders, constants, operations in the order in which the network computes them, and the output."""
    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    fixed_buffers: frozenset[str]
    """Buffers that training does not change."""
    constants: Mapping[fx.Node, Tensor]
    """Tensors that the network holds or makes without registering them."""

    @property
    def state(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in the order of their placeholders."""
        return {**self.parameters, **self.buffers}

    @property
    def placeholders(self) -> list[fx.Node]:
        """The nodes of parameters, buffers and, the last, the image."""
        return [node for node in self.nodes if node.op == "placeholder"]


def trace(model: nn.Module, task: Task) -> Trace:
    """Return the operations of `model` in evaluation mode, which is left as it was. Raise `Untraceable`.

    Nothing is computed: the tensors have shapes and types alone, and a network that asks for a value has no trace.
    """
    errors = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        changed = _changed_buffers(model, task)
    for dtype, images in _inputs(model):
        shape = (images, task.channels, task.size, task.size)
        try:
            return _traced(_copied(model).eval(), torch.zeros(shape, dtype=dtype), changed)
        except Exception as error:  # noqa: BLE001 - whatever a user's forward pass does with tensors without values
            errors.append(error)
    asks = any(word in type(errors[0]).__name__ for word in ("DataDependent", "DynamicOutputShape"))
    raise Untraceable("it asks for the values of a tensor" if asks else first_line(errors[0])) from errors[0]


def _inputs(model: nn.Module) -> Iterator[tuple[torch.dtype, int]]:
    """Yield the type of an image and the number of images of each try, the usual first."""
    own = image_dtype(model)
    yield own, 1
    # A network may drop the axis of a single image.
    yield own, 2


def _copied(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).cpu()


def _changed_buffers(model: nn.Module, task: Task) -> set[str]:
    """Return the buffers that a forward pass of two images in training changes; all of them where it fails."""
    statistics = {
        f"{path}.{leaf}".lstrip(".")
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        for leaf, _ in module.named_buffers(recurse=False)
    }
    names = [name for name, _ in model.named_buffers() if name not in statistics]
    if not names:
        # The usual network is neither copied nor called.
        return statistics
    trial = _copied(model).train()
    before = {name: trial.get_buffer(name).clone() for name in names}
    images = torch.rand((2, task.channels, task.size, task.size)).to(image_dtype(trial))
    try:
        trial(images)
        changed = {name for name in names if not torch.equal(before[name], trial.get_buffer(name))}
    except Exception:  # noqa: BLE001 - whatever fails in a user's forward pass is told where the network is tried
        changed = set(names)
    return statistics | changed


def _traced(model: nn.Module, image: Tensor, changed_buffers: set[str]) -> Trace:
    # Private modules of torch: public tracers either take minutes for their imports or read a value as if it were a
    # constant. Imported here, because a search that draws no mask needs none of them.
    from torch._subclasses.functional_tensor import dispatch_functionalize
    from torch.fx.experimental.proxy_tensor import make_fx

    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())

    def logits(tensors: dict[str, Tensor], images: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(model, tensors, (images,))
        return result

    with _quiet(), uncompiled(), torch.no_grad(), torch.random.fork_rng(devices=[]):
        graph = make_fx(
            dispatch_functionalize(logits),
            tracing_mode="fake",
            decomposition_table=_decompositions(),
            _allow_non_fake_inputs=True,
        )({**parameters, **buffers}, image)
    graph.graph.eliminate_dead_code()
    nodes = tuple(graph.graph.nodes)
    constants = {node: getattr(graph, str(node.target)) for node in nodes if node.op == "get_attr"}
    constants = {node: value for node, value in constants.items() if isinstance(value, Tensor)}
    return Trace(nodes, parameters, buffers, frozenset(buffers.keys() - changed_buffers), constants)


@cache
def _decompositions() -> dict[Any, Any]:
    from torch._decomp import core_aten_decompositions

    return dict(core_aten_decompositions())


@contextmanager
def _quiet() -> Iterator[None]:
    """Let torch say nothing, and take no fused attention, whose operation would be one large unknown."""
    with ExitStack() as stack:
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        yield
