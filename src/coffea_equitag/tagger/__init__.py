"""A trained network with its input contract: load it, call it, save it."""

from .tagger import Tagger, load, load_count

__all__ = ["Tagger", "load", "load_count"]
