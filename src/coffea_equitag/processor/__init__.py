"""Taggers in coffea analyses: a ready-made processor, and `attach` for your own."""

from .attach import attach
from .tagger_processor import TaggerProcessor

__all__ = ["TaggerProcessor", "attach"]
