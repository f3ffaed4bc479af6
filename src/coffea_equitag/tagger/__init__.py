"""A trained network with its input contract: load it, call it, save it."""

from .loading import load, load_count, load_pinned
from .reference import TaggerReference
from .tagger import Tagger

__all__ = ["Tagger", "TaggerReference", "load", "load_count", "load_pinned"]
