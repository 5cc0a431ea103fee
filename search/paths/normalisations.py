"""Normalisations: each element is made from all that are normalised together."""

from collections.abc import Callable, Iterator

from torch import Tensor

from .dependence import Dependence, spread
from .operation import Operation, mix_all, unknown


def layer_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise over the last axes."""
    count = len(operation.arguments["normalized_shape"])
    return _normalised(operation, lambda varies: spread(varies, range(-count, 0), varies.shape))


def group_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise over the channels of each group and all positions."""

    def normalise(varies: Tensor) -> Tensor:
        grouped = varies.reshape(len(varies), operation.arguments["group"], -1)
        return spread(grouped, [2], grouped.shape).reshape(varies.shape)

    return _normalised(operation, normalise)


def batch_norm(operation: Operation) -> Iterator[Dependence]:
    """Normalise with running statistics, element by element; without them over all but the channels."""
    own = operation.arguments.get("running_mean") is None or operation.arguments.get("training", False)

    def normalise(varies: Tensor) -> Tensor:
        return spread(varies, [axis for axis in range(varies.ndim) if axis != 1], varies.shape) if own else varies

    return _normalised(operation, normalise)


def _normalised(operation: Operation, normalise: Callable[[Tensor], Tensor]) -> Iterator[Dependence]:
    given: Dependence = operation.arguments["input"]
    others = [each for each in operation.operands if each is not given and each.varies is not None]
    if others:
        # Its scale or its shift is computed from the input.
        yield from mix_all(operation)
        return
    for number, shape in enumerate(operation.shapes):
        # Further results are the statistics.
        if number:
            yield next(iter(unknown([given], [shape])))
        else:
            yield Dependence(shape, None if given.varies is None else normalise(given.varies))
