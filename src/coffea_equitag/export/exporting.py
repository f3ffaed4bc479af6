"""A tagger as a file of another software, verified before it gets its name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from ..atomic_file import atomic_file, check_writable, flush, write_together
from ..errors import ExportError, explain
from ..tagger import Tagger
from ..temporary_files import temporary_folder
from . import networks
from .cms_preprocessing import WIDTH, preprocessing
from .description import description
from .four_momenta import Coordinates
from .graph import Graph
from .interface import Form, Port, Precision, inputs_of, outputs_of
from .onnx_file import OPSET, OnnxSession, check_installed, to_onnx, write_onnx
from .program import graph_of, program
from .pt2_file import check_compiler, compiled_pt2, open_pt2, write_pt2
from .trial_jets import trial_jets
from .triton_repository import BATCH_SIZE, configuration
from .verification import Verification, verify

__all__ = ["FORMATS", "Export", "Format", "export"]

Format = Literal["onnx", "pt2", "cms", "triton"]
FORMATS: tuple[Format, ...] = get_args(Format)

_FORMS: dict[Format, Form] = {"onnx": "ragged", "pt2": "ragged", "cms": "cms", "triton": "padded"}

#: Constituents of the jets that a graph is traced with.
_TRACED = (3, 5, 2, 7)


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes
    ----------
    path : Path
        The file, or the model's folder in Triton's repository.
    format : str
        One of `FORMATS`.
    inputs, outputs : list of Port
        What the file takes and gives.
    verification : Verification
        How far it is from the tagger.
    """

    path: Path
    format: Format
    inputs: list[Port]
    outputs: list[Port]
    verification: Verification


def export(
    tagger: Tagger,
    path: str | os.PathLike[str],
    format: Format | None = None,
    *,
    coordinates: Coordinates = "polar",
    own_momenta: bool = False,
    precision: Precision = "float32",
    compile: bool = False,
    batch_size: int | None = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> Export:
    """Write a tagger for torch.export, ONNX, CMS's software or Triton Inference Server; see docs/howto/export.md.

    The file holds the preprocessing, the network and the softmax. It gets its name only after it has given the
    tagger's scores on jets of 0 to 150 constituents, none, one and many in a call.

    Parameters
    ----------
    tagger : Tagger
        The tagger.
    path : path-like
        ``m.onnx``, ``m.pt2``, or the folder of a Triton repository, in which the model has the tagger's name.
    format : {"onnx", "pt2", "cms", "triton"}, optional
        By default what the path says; ``"cms"`` is an ONNX file with the inputs that CMS's software passes.
    coordinates : {"polar", "cartesian"}
        Of the momenta: (pT, η, φ, m) or (px, py, pz, m), GeV. Not for CMS, where it is (px, py, pz, E).
    own_momenta : bool
        Whether the file takes momenta of the jets, too; otherwise these are the sums of the constituents'. Not for CMS.
    precision : {"float32", "float64"}
        Of the network and the output, which is float32 for CMS in any case; invariants and features are always computed
        in float64.
    compile : bool
        For ``.pt2``: compile for this machine's kind of processor by AOTInductor, with a C++ compiler; the description
        is then a file beside it, ``m.pt2.json``.
    batch_size : int, optional
        For Triton: jets per request, by default 64.
    tolerance : float, optional
        Largest deviation from the layers in float64, see `Verification`; by default 1e-5, and in float64 what rounding
        may do, see `verify`.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    ExportError
        If the format is unknown or the network has none, the path exists, a package or the compiler is missing, a batch
        size is below 1 or for another format than Triton's, or the file deviates.
    """
    format = _format_of(path, format)
    _check_batch_size(batch_size, format)
    if compile:
        _check_compilable(format)
    form = _FORMS[format]
    reason = networks.blocking_reason(tagger.model)
    if reason is None and form == "cms":
        coordinates, reason = "cartesian", _blocked_in_cms(tagger, own_momenta)
    if reason is not None:
        remedy = "score with the package itself" if form != "cms" else "export it as .onnx or .pt2"
        raise ExportError(explain(f"{tagger.name} as {format}: {reason}", "a network that has this format", remedy))
    target = Path(path) / tagger.name if format == "triton" else Path(path)
    if (target.exists() or target.is_symlink()) and not overwrite:
        remedy = "choose another, or give overwrite=True (--overwrite)"
        raise ExportError(explain(f"{target} already exists", "a new name", remedy))
    graph = graph_of(tagger, form, coordinates, own_momenta, getattr(torch, precision))
    job = _Job(tagger, format, graph, coordinates, own_momenta, precision, tolerance)
    write: Callable[[_Job, Path], Verification] = _write_onnx
    if format == "pt2":
        write = _write_compiled if compile else _write_pt2
    if format == "triton":
        verification = _write_triton(job, target, batch_size or BATCH_SIZE)
    else:
        check_writable(target)
        with atomic_file(target) as part:
            verification = write(job, part)
            if compile or format == "cms":
                write_together(target.parent, _beside(job, target, verification))
    return Export(target, format, job.inputs, job.outputs, verification)


@dataclass(frozen=True)
class _Job:
    """An export on its way."""

    tagger: Tagger
    format: Format
    graph: Graph
    coordinates: Coordinates
    own_momenta: bool
    precision: Precision
    tolerance: float | None

    @property
    def form(self) -> Form:
        return _FORMS[self.format]

    @property
    def inputs(self) -> list[Port]:
        return inputs_of(self.tagger, self.form, self.coordinates, self.own_momenta)

    @property
    def outputs(self) -> list[Port]:
        return outputs_of(self.tagger, self.form, self.precision)

    def program(self) -> torch.export.ExportedProgram:
        trial = trial_jets(self.tagger, _TRACED, self.form, self.coordinates, self.own_momenta)
        return program(self.graph, self.tagger, self.form, trial.inputs)

    def verify(self, function: Callable[..., torch.Tensor]) -> Verification:
        form = self.form, self.coordinates, self.own_momenta
        return verify(function, self.tagger, *form, self.precision, self.tolerance)

    def description(self, verification: Verification | None = None) -> str:
        opset = {} if self.format == "pt2" else {"opset": OPSET}
        return description(
            self.tagger,
            format=self.format,
            coordinates=self.coordinates,
            precision=self.precision,
            inputs=self.inputs,
            outputs=self.outputs,
            verification=verification,
            **opset,
        )


def _write_onnx(job: _Job, part: Path) -> Verification:
    check_installed()
    model = to_onnx(job.program(), job.inputs, job.outputs)
    write_onnx(model, job.description(), part)
    verification = job.verify(OnnxSession(part))
    write_onnx(model, job.description(verification), part)
    return verification


def _write_pt2(job: _Job, part: Path) -> Verification:
    traced = job.program()
    write_pt2(traced, job.description(), part)
    verification = job.verify(open_pt2(part))
    write_pt2(traced, job.description(verification), part)
    return verification


def _write_compiled(job: _Job, part: Path) -> Verification:
    return job.verify(compiled_pt2(job.program(), part))


def _beside(job: _Job, target: Path, verification: Verification) -> dict[str, bytes]:
    """Files beside the one that is written: the description, where it has no place for it, and CMS's preprocessing."""
    if job.format == "cms":
        return {f"{target.stem}.preprocess.json": preprocessing(job.tagger, WIDTH).encode()}
    return {f"{target.name}.json": job.description(verification).encode()}


def _write_triton(job: _Job, target: Path, batch_size: int) -> Verification:
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(target) as made:
        (made / "1").mkdir()
        verification = _write_onnx(job, made / "1" / "model.onnx")
        (made / "config.pbtxt").write_text(configuration(job.tagger.name, job.inputs, job.outputs, batch_size))
        (made / "equitag.json").write_text(job.description(verification) + "\n")
        with _moved_away(target):
            made.rename(target)
    flush(target.parent)
    return verification


@contextmanager
def _moved_away(folder: Path) -> Iterator[None]:
    """A folder of this name is kept aside until another one has taken its place, and then removed."""
    if not folder.exists():
        yield
        return
    with temporary_folder(folder) as aside:
        folder.rename(aside / folder.name)
        try:
            yield
        except OSError:
            shutil.move(aside / folder.name, folder)
            raise


def _format_of(path: str | os.PathLike[str], format: str | None) -> Format:
    suffix = Path(path).suffix
    if format is None:
        format = {".onnx": "onnx", ".pt2": "pt2", "": "triton"}.get(suffix, suffix)
    if format not in FORMATS:
        raise ExportError(
            explain(
                f"{os.fspath(path)} as {format!r}",
                f"m.onnx, m.pt2 or a folder, or one of {', '.join(FORMATS)}",
                "give the file one of these suffixes, or format=... (--format)",
            )
        )
    return format


def _check_batch_size(batch_size: int | None, format: Format) -> None:
    if batch_size is not None and (format != "triton" or batch_size < 1):
        expected = "1 or more" if format == "triton" else "none: only Triton's files limit the jets per request"
        raise ExportError(explain(f"batch size {batch_size} for {format}", expected, "leave it out"))


def _check_compilable(format: Format) -> None:
    if format != "pt2":
        raise ExportError(
            explain(
                f"compile=True (--compile) with the format {format}",
                "a .pt2 file, which AOTInductor compiles; onnxruntime has no such step",
                "leave it out, or name the file m.pt2",
            )
        )
    check_compiler()


def _blocked_in_cms(tagger: Tagger, own_momenta: bool) -> str | None:
    if own_momenta:
        return "CMS's software passes no momenta of jets to such networks, so that features refer to their constituents"
    if tagger.model.output != "classes":
        return "CMS's software takes probabilities, and this network's output is a vector"
    return None
