"""Which GPU kernels are launched on."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

__all__ = ["on_its_device"]

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def on_its_device(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Let a function run on the GPU where its first tensor is: Triton launches kernels on the current one."""

    @wraps(function)
    def run(*arguments: _Arguments.args, **keywords: _Arguments.kwargs) -> _Result:
        tensor = next(argument for argument in arguments if isinstance(argument, Tensor))
        with torch.cuda.device(tensor.get_device()):
            return function(*arguments, **keywords)

    return run
