"""A warning of parameters that a search never prunes."""

from torch import nn

from ...models.layers import unsupported
from ..console import warn

#: Parameters that the warning names at most; a network may have hundreds.
_NAMED = 3


def warn_unpruned(model: nn.Module) -> None:
    """Warn in one line of the parameters with several axes that stay dense, with the reasons; be silent without any."""
    reasons = unsupported(model)
    if not reasons:
        return
    named = [f"{name} ({reason})" for name, reason in list(reasons.items())[:_NAMED]]
    more = len(reasons) - len(named)
    count = f"{len(reasons)} parameters are" if len(reasons) > 1 else "1 parameter is"
    warn(f"{count} never pruned: {', '.join(named)}" + (f" and {more} more" if more else ""))
