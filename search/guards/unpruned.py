"""Parameters that a search never prunes: the user is told."""

from torch import nn

from ...models.layers import unsupported
from ..console import warn

#: Parameters named in the warning; a network may have hundreds.
_NAMED = 3


def warn_unpruned(model: nn.Module) -> None:
    """Warns in one line of the parameters with several axes that stay dense, and why; silent where there are none."""
    reasons = unsupported(model)
    if not reasons:
        return
    named = [f"{name} ({reason})" for name, reason in list(reasons.items())[:_NAMED]]
    more = len(reasons) - len(named)
    count = f"{len(reasons)} parameters are" if len(reasons) > 1 else "1 parameter is"
    warn(f"{count} never pruned: {', '.join(named)}" + (f" and {more} more" if more else ""))
