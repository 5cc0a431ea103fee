"""Operations that bring elements together: sums, maxima, shares of a whole, distances."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from .dependence import Dependence, either, reached, spread
from .operation import Operation, mix_all, results


def add(operation: Operation) -> Iterable[Dependence]:
    """Add with factors other than 0, which count as 1, in the type of what is known."""
    if not operation.indices_fixed:
        return mix_all(operation)
    plain = operation.having(dtype=None, alpha=1)
    return results(operation, lambda replaced: [reached(total) for total in plain.run(replaced)])


def mix(operation: Operation) -> Iterator[Dependence]:
    """Let all elements along the axes meet: any may be the greatest, and the shares of a softmax are of one whole."""
    (given,) = operation.operands
    axes = operation.arguments.get("dim")
    axes = [axes] if isinstance(axes, int) else axes or range(len(given.shape))
    for shape in operation.shapes:
        varies = None if given.varies is None else spread(given.varies, axes, shape)
        yield Dependence(shape, varies, spread(given.filled(), axes, shape) if given.is_mask else None)


def measure(operation: Operation) -> Iterator[Dependence]:
    """Measure every row against every other."""
    one, other = (operation.arguments[name] for name in ("x1", "x2"))
    (shape,) = operation.shapes
    rows = None if one.varies is None else one.varies.sum(-1)[..., :, None]
    columns = None if other.varies is None else other.varies.sum(-1)[..., None, :]
    varies = either(*(None if each is None else reached(each) for each in (rows, columns)))
    yield Dependence.computed(shape, varies, None)


def max_pool(operation: Operation) -> Iterator[Dependence]:
    """Take the greatest of each window: any element of it may be that."""
    given = operation.arguments
    shape = operation.shapes[0]
    axes = 3 if "3d" in operation.name else 2
    size, stride, padding, dilation = (
        _each_axis(given[name], axes) for name in ("kernel_size", "stride", "padding", "dilation")
    )
    stride = stride or size
    image = given["self"]

    def pooled(replaced: Callable[[Dependence], Tensor]) -> list[Tensor]:
        tensor = replaced(image)
        flat = tensor.reshape(-1, 1, *image.shape[-axes:])
        # As far as the last window reaches, which may be over the edge.
        ends = [
            (shape[axis - axes] - 1) * stride[axis]
            + dilation[axis] * (size[axis] - 1)
            + 1
            - padding[axis]
            - image.shape[axis - axes]
            for axis in range(axes)
        ]
        around = [edge for axis in reversed(range(axes)) for edge in (padding[axis], ends[axis])]
        convolve = F.conv3d if axes == 3 else F.conv2d
        found = reached(convolve(F.pad(flat, around), torch.ones(1, 1, *size), None, stride, 0, dilation))
        return [found.reshape(each) for each in operation.shapes]

    return results(operation, pooled)


def _each_axis(value: int | list[int], axes: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def adaptive_max_pool(operation: Operation) -> Iterator[Dependence]:
    """Take the greatest of each of a number of windows that cover the image."""
    average = F.adaptive_avg_pool3d if "3d" in operation.name else F.adaptive_avg_pool2d
    size = operation.arguments["output_size"]
    image: Dependence = operation.arguments["self"]
    return results(operation, lambda replaced: [reached(average(replaced(image), tuple(size)))] * len(operation.shapes))
