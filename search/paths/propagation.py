"""The dependence of a network's outputs on its input under a mask set, through its trace."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch._ops import OpOverload

from .dependence import Dependence, tensors
from .operation import Operation, bind, is_random, unknown
from .rules import is_product, passed_on
from .trace import Trace

#: What an operation makes: one tensor, or several.
Made = Dependence | tuple[Dependence, ...]


class Propagation:
    """The propagation of dependence through the operations of a trace; made once, and used for each mask set.

    What is the same for every image and is never changed is computed here. Parameters that are not `masked`, and
    buffers that training changes, are numbers other than 0.
    """

    def __init__(self, trace: Trace, masked: set[str]) -> None:
        *state, self._image = trace.placeholders
        self._nodes = [node for node in trace.nodes if node.op == "call_function"]
        self._outputs = [node for node in trace.nodes if node.op == "output"]
        self._masked = {name: node for node, name in zip(state, trace.state, strict=True) if name in masked}
        self._known: dict[fx.Node, Made] = {node: Dependence.constant(value) for node, value in trace.constants.items()}
        for node, (name, value) in zip(state, trace.state.items(), strict=True):
            if name not in masked:
                is_fixed = name in trace.fixed_buffers
                self._known[node] = Dependence.constant(value) if is_fixed else Dependence(tuple(value.shape))
        self._fold()
        self._wants_nonzero = self._asked_for_nonzero()

    def connects(self, masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return which weights connect the input to an output under `masks`, or would if they were kept, as booleans.

        `masks` are booleans by parameter name. The sum of the outputs that depend on the input grows with a weight
        exactly where it connects (as in SynFlow, on numbers of which it matters alone whether they are 0).
        """
        weights = {name: torch.tensor(masks[name], dtype=torch.float32).requires_grad_() for name in self._masked}
        total = self._outputs_that_vary(weights)
        if total is None:
            return {name: np.zeros(mask.shape, dtype=bool) for name, mask in masks.items()}
        gradients = torch.autograd.grad(total, list(weights.values()), materialize_grads=True)
        return {name: (gradient > 0).numpy() for name, gradient in zip(weights, gradients, strict=True)}

    def _outputs_that_vary(self, masks: Mapping[str, Tensor]) -> Tensor | None:
        """Return the number of outputs that depend on the input; None: none does whatever is kept."""
        known = dict(self._known)
        for name, node in self._masked.items():
            known[node] = Dependence(tuple(masks[name].shape), None, masks[name])
        shape = tuple(self._image.meta["val"].shape)
        known[self._image] = Dependence(shape, torch.ones(shape))
        for node in self._nodes:
            if node not in known:
                known[node] = self._passed_on(node, known)
        outputs = [found for node in self._outputs for found in tensors(_replaced(node.args, known.get))]
        counts = [found.varies.sum() for found in outputs if found.varies is not None]
        return sum(counts, start=torch.zeros(())) if any(count.requires_grad for count in counts) else None

    def _passed_on(self, node: fx.Node, known: Mapping[fx.Node, Made]) -> Made:
        arguments, settings = _replaced((node.args, node.kwargs), known.get)
        if node.target is operator.getitem:
            made: Made = arguments[0][arguments[1]]
            return made
        value = node.meta.get("val")
        if not isinstance(value, Tensor | list | tuple):
            # A mark for profilers.
            return ()
        single = isinstance(value, Tensor)
        shapes = tuple(tuple(each.shape) if isinstance(each, Tensor) else () for each in ([value] if single else value))
        if isinstance(node.target, OpOverload):
            wants_nonzero = node in self._wants_nonzero
            results = passed_on(Operation(node.target, bind(node.target, arguments, settings), shapes, wants_nonzero))
        else:
            # A higher operation, with graphs among its arguments.
            results = tuple(unknown(tensors([*arguments, *settings.values()]), shapes))
        return results[0] if single else results

    def _fold(self) -> None:
        """Compute the operations on numbers that are the same for every image and never trained."""
        for node in self._nodes:
            inputs = [self._known.get(each) for each in node.all_input_nodes]
            if not all(_is_fixed(each) for each in inputs) or is_random(node.target):
                continue
            arguments, settings = _replaced((node.args, node.kwargs), lambda each: _values(self._known[each]))
            try:
                with torch.no_grad():
                    made = node.target(*arguments, **settings)  # type: ignore[operator]
            except (RuntimeError, NotImplementedError):
                # Not on the device that it asks for.
                continue
            if not isinstance(made, Tensor | list | tuple):
                continue
            several = [made] if isinstance(made, Tensor) else made
            constants = tuple(Dependence.constant(each) for each in several)
            self._known[node] = constants[0] if isinstance(made, Tensor) else constants

    def _asked_for_nonzero(self) -> set[fx.Node]:
        """Return the operations on the input of which it matters which elements can be other than 0.

        Those are factors of products of two tensors that both depend on the input, and what they are computed from.
        """
        follow, asked = {self._image}, set()
        for node in self._nodes:
            if follow.intersection(node.all_input_nodes):
                follow.add(node)
        for node in reversed(self._nodes):
            factors = follow.intersection(node.all_input_nodes)
            if node in asked or (is_product(node.target) and len(factors) > 1):
                asked |= factors
        return asked


def _replaced(arguments: Any, value: Callable[[fx.Node], Any]) -> Any:
    """Return arguments with a value in the place of each node; None in that of a graph within the graph."""
    return fx.map_arg(arguments, value)


def _is_fixed(made: Made | None) -> bool:
    each = made if isinstance(made, tuple) else (made,)
    return all(found is not None and found.fixed is not None for found in each)


def _values(made: Made) -> Any:
    return [each.fixed for each in made] if isinstance(made, tuple) else made.fixed
