"""A graph as a .pt2 file of torch.export, or compiled by AOTInductor."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ExportError, explain

__all__ = ["DESCRIPTION", "compiled_pt2", "open_pt2", "write_pt2"]

#: Name of the description among the file's extra files.
DESCRIPTION = "coffea_equitag.json"


def write_pt2(program: torch.export.ExportedProgram, description: str, path: Path) -> None:
    """Write a program that ``torch.export.load`` reads."""
    torch.export.save(program, path, extra_files={DESCRIPTION: description})


def open_pt2(path: Path) -> Callable[..., Tensor]:
    """The function in a file of `write_pt2`."""
    module = torch.export.load(path).module()

    def function(*inputs: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = module(*inputs)
        return found

    return function


def compiled_pt2(program: torch.export.ExportedProgram, path: Path) -> Callable[..., Tensor]:
    """Compile a program into a package of AOTInductor for this machine's kind of processor, and open it.

    Raises
    ------
    ExportError
        If there is no compiler, or it fails.
    """
    from torch._inductor import aoti_compile_and_package, aoti_load_package

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            aoti_compile_and_package(program, package_path=str(path))
        module = aoti_load_package(str(path))
    except Exception as error:  # the compiler's, and torch's of many types
        raise ExportError(
            explain(
                f"a network that AOTInductor does not compile here: {str(error)[-400:]}",
                "a C++ compiler that torch finds, and operations that it knows",
                "install g++, or leave out compile=True (--compile): torch.export's file needs no compiler",
            )
        ) from error

    def function(*inputs: Tensor) -> Tensor:
        found: Tensor = module(*inputs)
        return found

    return function
