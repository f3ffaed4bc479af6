"""A trained network with its input contract: load it, call it, save it."""

from .reference import TaggerReference
from .tagger import Tagger, load, load_count, load_pinned

__all__ = ["Tagger", "TaggerReference", "load", "load_count", "load_pinned"]
