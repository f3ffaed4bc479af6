"""Trained taggers as files that other software runs: torch.export, ONNX, CMS's software, Triton Inference Server."""

from .exporting import FORMATS, Export, export
from .interface import Port
from .jet_arrays import jet_arrays
from .verification import Verification

__all__ = ["FORMATS", "Export", "Port", "Verification", "export", "jet_arrays"]
