"""Lookups of rows in a table."""

from collections.abc import Iterator

from torch.nn import functional as F

from .dependence import Dependence, either, reached
from .moves import move
from .operation import Operation, mix_all


def look_up(operation: Operation) -> Iterator[Dependence]:
    """Look up rows of a table: the number of the row is the table's input, and the image may choose any.

    A table that is never pruned is like a fixed number.
    """
    table, rows = (operation.arguments[name] for name in ("weight", "indices"))
    shape = operation.shapes[0]
    others = [each for each in operation.operands if each is not table and each is not rows]
    if any(each.varies is not None for each in others):
        yield from mix_all(operation)
        return
    if table.varies is not None:
        # Features in the place of a table.
        yield from move(operation) if operation.name == "embedding" else mix_all(operation)
        return
    if table.is_mask and rows.fixed is not None and operation.name == "embedding":
        padding = operation.arguments.get("padding_idx", -1)
        varies = F.embedding(rows.fixed.cpu(), table.nonzero, None if padding < 0 else padding)
    elif table.is_mask:
        varies = reached(table.nonzero.sum(0)).expand(shape)
    else:
        varies = None
    if rows.varies is not None:
        chosen = reached(rows.varies.sum()) if varies is None else reached(rows.varies.sum()) * varies.detach()
        varies = either(varies, chosen.expand(shape))
    yield Dependence(shape, varies)
    for other in operation.shapes[1:]:
        yield Dependence(other)
