"""Taggers in coffea analyses: a ready-made processor, and `attach` for your own."""

from .attach import attach
from .scale_factors import ScaleFactors
from .tagger_processor import TaggerProcessor

__all__ = ["ScaleFactors", "TaggerProcessor", "attach"]
