"""Taggers in coffea analyses: a ready-made processor, and `attach` for your own."""

from ..tagger.score_cache import prune_scores
from .attach import attach
from .checkpointer import TaggerCheckpointer
from .scale_factors import ScaleFactors
from .tagger_processor import TaggerProcessor

__all__ = ["ScaleFactors", "TaggerCheckpointer", "TaggerProcessor", "attach", "prune_scores"]
