"""Networks, datasets, mask sets, mask file formats and masked training."""

from typing import TYPE_CHECKING

from .lazy import lazily

if TYPE_CHECKING:
    from .masks import MaskSet, apply

__all__ = ["MaskSet", "apply"]

__getattr__ = lazily(__name__, {"MaskSet": ".masks", "apply": ".masks"})
