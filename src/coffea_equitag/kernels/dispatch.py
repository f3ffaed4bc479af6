"""Which form of a network runs, its layers or a kernel, and the one door through which models reach the kernels.

``EQUITAG_KERNELS`` = ``auto`` (default), ``reference``, ``cpu`` or ``gpu`` decides for a process, `use` within a
``with`` block; likewise ``EQUITAG_PRECISION`` how kernels multiply (`precision`). What a kernel does not support runs
on the layers without a warning; `last_choice` tells.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from operator import attrgetter
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from .. import recording
from ..compile_notice import compiling
from ..errors import TaggerError, explain
from ..invariants import gram as gram_on_cpu
from ..invariants.friends import friend_scalars as friends_on_cpu
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from . import self_check
from .choice import Choice
from .module_tree import held, modules_of, records, tree_of
from .precision import COARSE, asked, checked, for_cpu, force
from .support import Support

__all__ = ["MODES", "choose", "friend_scalars", "gram", "last_choice", "run", "use"]

MODES = ("auto", "reference", "cpu", "gpu")

#: Kind of network -> the folder of its kernels.
_TOWERS = {
    "lgatr_slim": "lgatr_slim",
    "lgn": "lgn",
    "lloca_transformer": "lloca_transformer",
    "lorentznet": "lorentznet",
    "lorentznet_base": "lorentznet",
    "particle_transformer": "particle_transformer",
    "particlenet": "particlenet",
    "pelican": "pelican",
    "pfn": "pfn",
    "tensor_pfn": "tensor_pfn",
    "vector_pfn": "tensor_pfn",
}

_DEVICE, _DTYPE = attrgetter("device"), attrgetter("dtype")
_HOOKS, _EARLY_HOOKS = attrgetter("_forward_hooks"), attrgetter("_forward_pre_hooks")
_FLOAT32 = {torch.float32}

_forced: str | None = None
_choices: dict[str, Choice] = {}


@contextmanager
def use(mode: str | None = None, *, precision: str | None = None) -> Iterator[None]:
    """Ask for a form of the networks in all threads of this process; takes precedence over the environment.

    Parameters
    ----------
    mode : {"auto", "reference", "cpu", "gpu"}, optional
        By default what it is already. ``"cpu"`` and ``"gpu"`` use only those kernels, wherever they can be; on a
        machine without a GPU, ``"gpu"`` runs them in Triton's interpreter if ``TRITON_INTERPRET=1`` asks for that.
    precision : {"float32", "ieee", "tf32x3", "tf32", "bf16"}, optional
        How kernels multiply; by default as already, which is as exactly as float32 in the beginning. Operands of
        ``"tf32"`` have 11 significant bits, those of ``"bf16"`` 8; GPUs have all of these, CPUs with AVX512-BF16 the
        last, for scoring with some networks. What a device or a network lacks is computed in float32, and
        `last_choice` tells why.

    Raises
    ------
    TaggerError
        For another mode or precision.
    """
    global _forced
    wanted, how = _forced if mode is None else _checked(mode, "mode"), precision and checked(precision, "precision")
    before, _forced = _forced, wanted
    before_how = force(how) if how else None
    try:
        yield
    finally:
        _forced = before
        if how:
            force(before_how)


def run(model: JetModel, *inputs: Any, entry: str = "logits") -> Any:
    """Run a network by its kernels, if there are any for this call.

    Parameters
    ----------
    model : JetModel
        The network.
    *inputs
        What its ``network`` method takes, in the order of its tower's ``support``.
    entry : str
        The kernel's function to call.

    Returns
    -------
    Any
        The network's outputs; None if the layers must run.
    """
    tower = _tower(model.kind)
    if tower is None:
        _remember(model.kind, Choice("reference", "there are no kernels for this network"))
        return None
    tensors = [value.p4 if isinstance(value, RaggedJets) else value for value in inputs]
    target = _target(tensors)
    with held(model), compiling(f"{model.kind}'s kernels"):
        support: Support = tower.support(model, target, *inputs)
        choice = choose(model, target, support, *(tensor for tensor in tensors if isinstance(tensor, Tensor)))
        form = "training" if support.learns else "inference"
        if choice.kernel != "reference":
            choice = _in_precision(choice, support)
            failure = self_check.failure(
                model, _TOWERS[model.kind], choice.kernel, form, tensors[0].device, choice.precision
            )
            if failure is not None:
                choice = Choice("reference", failure)
        _remember(model.kind, choice)
        if choice.kernel == "reference":
            return None
        self_check.kernel_runs()
        kernel = getattr(_kernel(_TOWERS[model.kind], choice.kernel, form), entry)
        if choice.kernel == "cpu" and choice.precision == "bf16":
            return kernel(model, *inputs, bf16=True)
        return kernel(model, *inputs)


def gram(jets: RaggedJets) -> Tensor:
    """p_i·p_j of all pairs of each jet, as `coffea_equitag.invariants.gram`, by the GPU's kernel for jets on a GPU."""
    if not _invariants_on_gpu("gram", jets.p4, jets.mass):
        return gram_on_cpu(jets)
    from .common.gpu.pair_products import pair_products

    return pair_products(jets)


def friend_scalars(kind: str, jets: RaggedJets, sizes: Sequence[int], gram_Q: Tensor) -> Tensor:
    """m²_G or E_G of friend groups, as `coffea_equitag.invariants.friends`, by the GPU's kernel for jets on a GPU."""
    if not _invariants_on_gpu("friends", gram_Q, jets.p4):
        return friends_on_cpu(kind, jets, sizes, gram_Q)
    from .common.gpu import friend_groups

    return friend_groups.friend_scalars(kind, jets, sizes, gram_Q)


def _invariants_on_gpu(name: str, *inputs: Tensor) -> bool:
    """Whether a kernel of the GPU computes these invariants."""
    if _target([*inputs]) == "cpu":
        _remember(name, _ON_CPU)
        return False
    choice = choose(_NOTHING, "gpu", Support(None), *inputs)
    if choice.kernel != "reference":
        failure = self_check.failure_of_invariants(name, inputs[0].device)
        choice = choice if failure is None else Choice("reference", failure)
    _remember(name, choice)
    return choice.kernel != "reference"


def last_choice(kind: str) -> Choice | None:
    """What ran when a network of this kind, ``"gram"`` or ``"friends"`` was last called here; None before that."""
    return _choices.get(kind)


def choose(model: nn.Module, target: str, support: Support, *inputs: Tensor) -> Choice:
    """Decide for one call of a network.

    Parameters
    ----------
    model : Module
        The network.
    target : {"cpu", "gpu"}
        Whose kernels `support` is about.
    support : Support
        What the network's tower says about the call.
    *inputs : Tensor
        What the network is called with.
    """
    mode = _mode()
    if mode == "reference":
        return Choice("reference", "asked for")
    if recording.wanted():
        return Choice("reference", "what its layers know of each constituent is wanted")
    if support.reason is not None:
        return Choice("reference", support.reason)
    devices = {device.type for device in set(map(_DEVICE, [*tree_of(model).parameters, *inputs]))}
    if len(devices) > 1 or not devices <= {"cpu", "cuda"}:
        return Choice("reference", f"no kernels for {' and '.join(sorted(devices))}")
    if mode not in ("auto", target):
        return Choice("reference", f"kernels of the {mode} asked for, tensors elsewhere")
    reason = _blocking_reason(model, target, records(model, *inputs), support.trains)
    if reason is None:
        reason = _no_triton() if target == "gpu" else _no_vector_unit()
    if reason is not None:
        return Choice("reference", reason)
    return Choice(target, "asked for" if mode != "auto" else f"float32 on a {target.upper()}")


def _in_precision(choice: Choice, support: Support) -> Choice:
    """The same in the precision that is asked for, or with the reason why not."""
    precision, lacks = for_cpu(support, _has_bf16) if choice.kernel == "cpu" else (asked(), None)
    reason = choice.reason
    if precision in COARSE and reason != "asked for":
        reason = f"{precision} on a {choice.kernel.upper()}"
    return Choice(choice.kernel, f"{reason}; {lacks}" if lacks else reason, precision)


def _remember(kind: str, choice: Choice) -> None:
    if self_check.forced_mode() is None:
        _choices[kind] = choice


_ON_CPU = Choice("reference", "the CPU's invariants are compiled as they are")

#: What stands for a network where there is none.
_NOTHING = nn.Identity().eval()


@cache
def _tower(kind: str) -> ModuleType | None:
    return importlib.import_module(f".{_TOWERS[kind]}", __package__) if kind in _TOWERS else None


@cache
def _kernel(tower: str, target: str, form: str) -> ModuleType:
    return importlib.import_module(f".{tower}.{target}.{form}", __package__)


def _mode() -> str:
    return self_check.forced_mode() or _forced or _checked(os.environ.get("EQUITAG_KERNELS", "auto"), "EQUITAG_KERNELS")


def _target(inputs: list[Any]) -> str:
    """Whose kernels a call wants: the GPU's for tensors there, or if they are asked for in Triton's interpreter."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1" and _mode() == "gpu"
    return "gpu" if inputs[0].device.type == "cuda" or interpreted else "cpu"


def _blocking_reason(model: nn.Module, target: str, records: bool, trains: bool) -> str | None:
    """What stands against any kernel, cheapest questions first."""
    if model.training and not trains:
        return "the network is in training mode"
    if not set(map(_DTYPE, tree_of(model).parameters)) <= _FLOAT32:
        return "the network is not in float32"
    if records and not trains:
        return "gradients are recorded"
    autocast = torch.is_autocast_enabled("cuda" if target == "gpu" else "cpu")
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling() or autocast:
        return "torch traces, compiles or casts"
    modules = modules_of(model)
    if any(map(_HOOKS, modules)) or any(map(_EARLY_HOOKS, modules)):
        return "hooks want to see the layers' values"
    return None


def _no_vector_unit() -> str | None:
    from .common.cpu.shapes import SUPPORTED  # numba, only when it may be needed

    return None if SUPPORTED else "no vector unit known to the kernels"


def _has_bf16() -> bool:
    from .common.cpu.shapes import HAS_BF16

    return HAS_BF16


def _no_triton() -> str | None:
    return None if importlib.util.find_spec("triton") is not None else "Triton is not installed"


def _checked(mode: str, name: str) -> str:
    if mode not in MODES:
        raise TaggerError(explain(f"{name} = {mode!r}", f"one of {', '.join(MODES)}", "leave it out for 'auto'"))
    return mode
