"""A graph as an ONNX model, and how onnxruntime runs it."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ExportError, explain
from .elementary import DECOMPOSITIONS
from .interface import Port

__all__ = ["METADATA", "OPSET", "OnnxSession", "check_installed", "to_onnx", "write_onnx"]

#: Version of ONNX's operators that the files use.
OPSET = 20

#: Key of the description in the model's metadata.
METADATA = "coffea_equitag"

#: Version of the file format, which runtimes check too: that of onnx 1.15, the first with this opset.
_IR_VERSION = 9


def check_installed() -> None:
    """Refuse to begin without the packages that write and check ONNX.

    Raises
    ------
    ExportError
        Naming the one that is missing.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        required(name)


def to_onnx(program: torch.export.ExportedProgram, inputs: Sequence[Port], outputs: Sequence[Port]) -> Any:
    """An ONNX model (``onnx.ModelProto``) of a traced graph.

    Raises
    ------
    ExportError
        If an operation has no form in ONNX.
    """
    with _quiet():
        try:
            found = torch.onnx.export(
                program.run_decompositions(DECOMPOSITIONS),
                dynamo=True,
                opset_version=OPSET,
                optimize=True,
                verbose=False,
                custom_translation_table=importlib.import_module(".onnx_constants", __package__).TRANSLATIONS,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(
                explain(
                    f"a network with an operation that ONNX lacks: {str(error)[-400:]}",
                    "operations of ONNX",
                    "export it as .pt2",
                )
            ) from error
    assert found is not None
    _name_ports(found.model.graph, inputs, outputs)
    model = found.model_proto
    model.ir_version = _IR_VERSION
    importlib.import_module(".onnx_products", __package__).unfuse(model)
    _name_lengths(model.graph.input, inputs)
    _name_lengths(model.graph.output, outputs)
    return model


def write_onnx(model: Any, description: str, path: Path) -> None:
    """Write a model with its description in the metadata."""
    onnx = required("onnx")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA: description})
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))


class OnnxSession:
    """A file as onnxruntime runs it, on one thread of the CPU."""

    def __init__(self, path: Path) -> None:
        runtime = required("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's are of many types
            raise ExportError(
                explain(
                    f"a model that onnxruntime {runtime.__version__} does not load: {error}",
                    "operations that onnxruntime has on a CPU",
                    "export it as .pt2, or in float32 if that was float64, or try another version of onnxruntime",
                )
            ) from error
        self._names = [one.name for one in self._session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Outputs (J, K) of the inputs in their order."""
        given = {name: value.numpy() for name, value in zip(self._names, inputs, strict=True)}
        return torch.from_numpy(self._session.run(None, given)[0])

    @property
    def metadata(self) -> Mapping[str, str]:
        """The model's metadata."""
        found: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found


def required(name: str) -> Any:
    """A module of an optional dependency.

    Raises
    ------
    ExportError
        Saying how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            explain(
                f"{name} is not installed",
                "the packages that write and check ONNX",
                "pip install 'coffea-equitag[export]'",
            )
        ) from error


def _name_ports(graph: Any, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Names of inputs and outputs, which torch has given to values inside, too: each softmax is one."""
    ports = {port.name for port in (*inputs, *outputs)}
    inside = [value for node in graph.all_nodes() for value in node.outputs]
    for value in (*inside, *graph.initializers.values()):
        if value.name in ports:
            value.name = f"inside_{value.name}"
    for values, named in ((graph.inputs, inputs), (graph.outputs, outputs)):
        for value, port in zip(values, named, strict=True):
            value.name = port.name


def _name_lengths(values: Any, ports: Sequence[Port]) -> None:
    """Words for lengths that vary: torch numbers them."""
    for value, port in zip(values, ports, strict=True):
        for dimension, length in zip(value.type.tensor_type.shape.dim, port.shape, strict=True):
            if isinstance(length, str):
                dimension.dim_param = length


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's messages to its developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
