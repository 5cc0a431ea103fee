"""Contract suites that a score of one's own can inherit; they need pytest."""

from .score import ScoreContract

__all__ = ["ScoreContract"]
