"""A graph as a .pt2 file of torch.export, or compiled by AOTInductor."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ExportError, explain

__all__ = ["DESCRIPTION", "check_compiler", "compiled_pt2", "open_compiled", "open_pt2", "write_pt2"]

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


def check_compiler() -> None:
    """Refuse to begin without a C++ compiler.

    Raises
    ------
    ExportError
        Naming the one that was looked for.
    """
    try:
        importlib.import_module("torch._inductor.cpp_builder").get_cpp_compiler()
    except Exception as error:  # torch's are of many types
        raise ExportError(
            explain(
                f"no C++ compiler: {os.environ.get('CXX', 'g++')} does not run",
                "one that torch can call, since AOTInductor writes C++",
                "install g++ (conda install gxx), or name another by the environment variable CXX; or leave out "
                "compile=True (--compile): torch.export's own file needs no compiler",
            )
        ) from error


def compiled_pt2(program: torch.export.ExportedProgram, path: Path) -> Callable[..., Tensor]:
    """Compile a program into a package of AOTInductor for this machine's kind of processor, and open it.

    Raises
    ------
    ExportError
        If the compiler fails.
    """
    from torch._inductor import aoti_compile_and_package

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            aoti_compile_and_package(program, package_path=str(path))
        return open_compiled(path)
    except Exception as error:  # the compiler's, and torch's of many types
        raise ExportError(
            explain(
                f"a network that AOTInductor does not compile here: {str(error)[-400:]}",
                "operations that it knows, and a C++ compiler that takes what it writes",
                "leave out compile=True (--compile): torch.export's own file needs no compiler",
            )
        ) from error


def open_compiled(path: Path) -> Callable[..., Tensor]:
    """The function in a package of `compiled_pt2`."""
    from torch._inductor import aoti_load_package

    module = aoti_load_package(str(path))

    def function(*inputs: Tensor) -> Tensor:
        found: Tensor = module(*inputs)
        return found

    return function
