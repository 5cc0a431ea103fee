"""Sampling, gating, training and recording candidate masks: the search itself and its command line."""

from typing import TYPE_CHECKING

from ..models.lazy import lazily

if TYPE_CHECKING:
    from .config.study import Study
    from .face import search
    from .report.summary import StudyResult

__all__ = ["Study", "StudyResult", "search"]

__getattr__ = lazily(__name__, {"Study": ".config.study", "StudyResult": ".report.summary", "search": ".face"})
