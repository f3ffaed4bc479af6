"""Taggers inside coffea analyses: a ready processor, and `attach` for those who write their own."""

from .attach import attach
from .tagger_processor import TaggerProcessor

__all__ = ["TaggerProcessor", "attach"]
