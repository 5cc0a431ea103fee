"""A warning of parameters that a search never prunes."""

from torch import nn

from ...models.layers import described, unsupported
from ..console import warn


def warn_unpruned(model: nn.Module) -> None:
    """Warn in one line of the parameters with several axes that stay dense, with the reasons; be silent without any."""
    reasons = unsupported(model)
    if not reasons:
        return
    count = f"{len(reasons)} parameters are" if len(reasons) > 1 else "1 parameter is"
    warn(f"{count} never pruned: {described(reasons)}")
