"""What a training learns from: labelled jets, and the order in which it sees them."""

from .batches import Batches
from .in_memory import InMemory
from .labelled_jets import LabelledJets
from .source import Source
from .streamed import Streamed

__all__ = ["Batches", "InMemory", "LabelledJets", "Source", "Streamed"]
