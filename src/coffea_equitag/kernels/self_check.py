"""A network's kernels are compared with its layers before their first use on a machine.

A handful of fixed jets goes through the kernel and through the layers in float64 and float32. A deviation that
rounding does not explain, an exception or a missing compiler switches the network's kernels off for this process, with
one warning. Success is remembered beside numba's compiled code, and holds for this device, instruction set, network,
source code and these versions of the packages.
"""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..code_cache import folders
from ..errors import KernelWarning
from ..invariants import gram
from ..invariants.friends import friend_scalars
from ..invariants.pair_rows import mirror
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from .check_jets import check_jets, in_bf16, twin

__all__ = ["failure", "failure_of_invariants", "forced_mode", "kernel_runs", "outcome"]

#: Kernels may deviate from float64 by so many times what the float32 layers do: they add in another order.
_FACTOR = 16.0
#: … and by a hundred roundings where the layers happen to hit float64.
_FLOOR = 100 * 2.0**-24
#: In bf16, by so many times what layers in bf16 do: these round all that the kernel rounds, and more.
_FACTOR_BF16 = 4.0
#: Gradients jump where an activation lies within rounding of 0; one such among the ~10⁴ of these jets moves them so.
_FLIP = 2e-3
#: p_i·p_j is float64 on both sides, and exact to 1e-13; sums of them cancel nothing.
_INVARIANTS = 1e-12
#: Sizes of the friend groups that are compared.
_FRIENDS = (2, 4, 8)
#: Unit roundoffs of the GPU's products, in those of float32; never more than a quarter in all.
_COARSER, _MOST = {"ieee": 1.0, "tf32x3": 1.0, "tf32": 2.0**13, "bf16": 2.0**16}, 0.25


@dataclass(frozen=True)
class _Figures:
    """Largest deviations from the float64 layers, by the rms of what is compared, and what is allowed."""

    kernel: float
    layers: float
    allowed: float
    precision: str = "float32"

    @property
    def passed(self) -> bool:
        return self.kernel <= self.allowed  # NaN does not

    def __str__(self) -> str:
        return f"{self.kernel:.1e}, {self.allowed:.1e} allowed ({self.precision} layers {self.layers:.1e})"


@dataclass
class _Check:
    """The check that runs in this thread."""

    mode: str
    kernel_ran: bool = False


_current: ContextVar[_Check | None] = ContextVar("_current", default=None)
_lock = threading.RLock()
#: (tower, device, ...) -> what came out, in this process.
_outcomes: dict[tuple[str, ...], str] = {}
#: (tower, target, precision) -> why its kernels are off.
_failures: dict[tuple[str, str, str], str] = {}


def forced_mode() -> str | None:
    """The form of networks that a check in this thread is running, if there is one."""
    check = _current.get()
    return None if check is None else check.mode


def kernel_runs() -> None:
    """Tell the check in this thread that a kernel runs."""
    check = _current.get()
    if check is not None:
        check.kernel_ran = True


def outcome(kind: str, target: str, form: str, precision: str = "float32") -> str:
    """What the last check of a kind of network on "cpu" or "gpu", in "inference" or "training", found."""
    found = [text for key, text in _outcomes.items() if (*key[1:4], key[-1]) == (target, form, kind, precision)]
    return found[-1] if found else "not run"


def failure(
    model: JetModel, tower: str, target: str, form: str, device: torch.device, precision: str = "float32"
) -> str | None:
    """Why a tower's kernels must not run, None if they may; they are checked at their first use.

    Parameters
    ----------
    model : JetModel
        The network that is about to run: one of the same options is checked.
    tower : str
        The folder of its kernels.
    target, form, precision : str
        "cpu" or "gpu"; "inference" or "training"; how the kernel is going to multiply.
    device : device
        Where its inputs are.

    Warns
    -----
    KernelWarning
        Once per tower, precision and process, if the check fails.
    """
    if _current.get() is not None or (target == "gpu" and device.type != "cuda"):
        return None  # a check itself, or Triton's interpreter, which is for debugging
    key = (tower, target, form, model.kind, str(model.options), str(device) if target == "gpu" else "", precision)

    def compare() -> _Figures:
        return _compare(model, target, form, device, precision)

    return _verdict(key, compare)


def failure_of_invariants(name: str, device: torch.device) -> str | None:
    """The same for the GPU's kernels of invariants: ``"gram"``, ``"friends"``."""
    if device.type != "cuda":
        return None

    def compare() -> _Figures:
        from .common.gpu import friend_groups, pair_products

        jets = check_jets(())
        there, expected = jets.to(device), gram(jets)
        found = pair_products.pair_products(there)
        if name == "friends":
            found = friend_groups.friend_scalars("mass", there, _FRIENDS, expected.to(device))
            expected = friend_scalars("mass", jets, _FRIENDS, expected)
        return _Figures(float(((found.cpu() - expected) / expected.clamp(min=1e-6)).abs().max()), 0.0, _INVARIANTS)

    return _verdict(("common", "gpu", "inference", name, "", str(device), "float32"), compare)


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _verdict(key: tuple[str, ...], compare: Callable[[], _Figures]) -> str | None:
    kernels = key[0], key[1], key[-1]
    if kernels in _failures:
        return _failures[kernels]
    if key in _outcomes:
        return None
    with _lock:
        if key in _outcomes:
            return _failures.get(kernels)
        name = f"equitag-self-check-{_digest(key)}.json"
        paths = [folder / name for folder in folders(mirror)]
        for path in paths:
            try:
                figures = _Figures(**json.loads(path.read_text()))
                if figures.passed:
                    _outcomes[key] = f"passed earlier: {figures}"
                    return None
            except (OSError, ValueError, TypeError):
                pass  # not checked before, or nothing readable
        try:
            with saved_tensors_hooks(_same, _same):  # the caller's, which may count or move tensors, are not for these
                figures = compare()
        except Exception as error:  # whatever a compiler, a driver or a kernel raises
            found = f"{type(error).__name__}: {error}"
        else:
            if figures.passed:
                _outcomes[key] = f"passed: {figures}"
                if paths:
                    _remember(paths[-1], figures)
                return None
            found = str(figures)
        _outcomes[key] = f"failed: {found}"
        _failures[kernels] = f"its kernels failed their self-check: {found}"
    _warn(key, found)
    return _failures[kernels]


def _warn(key: tuple[str, ...], found: str) -> None:
    tower, target, form, kind, options, _, precision = key
    device = _gpu() if target == "gpu" else _cpu()
    warnings.warn(
        f"the {target.upper()} kernels of {kind} ({form}, {precision}) failed their self-check on this machine: "
        f"{found}\n"
        f"  {tower}'s layers run in their place, which is slower and right, until this process ends\n"
        f"  to fix: report it with this message, the output of `equitag benchmark --explain`, "
        f"options {options or '{}'} and {device}; EQUITAG_KERNELS=reference avoids kernels and this message",
        KernelWarning,
        stacklevel=2,
    )


def _compare(model: JetModel, target: str, form: str, device: torch.device, precision: str) -> _Figures:
    by_bf16 = target == "cpu" and precision == "bf16"
    with torch.inference_mode(False):
        network, jets = twin(model).to(device), check_jets(model.fields).to(device)
        found = _results(network, jets, form, target)
        layers = _results(in_bf16(twin(model)) if by_bf16 else network, jets, form, "reference")
        exact = _results(network.double(), jets, form, "reference")
    scale = max(float(values.square().mean().sqrt()) for values in exact[1:]) if len(exact) > 1 else 0.0
    factor, floor, coarser = (_FACTOR_BF16, 0.0, 1.0) if by_bf16 else (_FACTOR, _FLOOR, 1.0)
    worst = 0.0, 0.0, 1.0
    if target == "gpu":
        from .common.gpu import arithmetic

        coarser = _COARSER[arithmetic.precision(device)]
    for k, (value, layer, expected) in enumerate(zip(found, layers, exact, strict=True)):
        # gradients of biases before a BatchNorm are nothing but rounding
        size = max(float(expected.square().mean().sqrt()), 1e-2 * scale if k else 1e-30)
        kernel, other = (float((x - expected).square().mean().sqrt() / size) for x in (value, layer))
        allowed = min(coarser * (factor * other + floor) + (_FLIP if k else 0.0), _MOST)
        if not kernel / allowed <= worst[0] / worst[2]:
            worst = (kernel, other, allowed)
    return _Figures(*worst, precision="bf16" if by_bf16 else "float32")


def _results(network: JetModel, jets: RaggedJets, form: str, mode: str) -> list[Tensor]:
    """Outputs, and in training the gradients of all parameters, in float64 on the CPU."""
    check = _Check(mode)
    token = _current.set(check)
    learns = form == "training"
    state = {name: value.clone() for name, value in network.state_dict().items()}
    try:
        with torch.set_grad_enabled(learns), torch.autocast(jets.device.type, enabled=False):
            network.train(learns).requires_grad_(learns).zero_grad()
            outputs = network.logits(jets)
            if learns:
                weights = torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype, device=outputs.device)
                torch.autograd.backward((outputs * weights.reshape(outputs.shape)).sum())
    finally:
        _current.reset(token)
    if mode != "reference" and not check.kernel_ran:
        raise RuntimeError("the network that was checked ran on its layers")
    network.load_state_dict(state)  # running statistics have followed
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()] if learns else []
    return [values.detach().double().cpu() for values in (outputs, *gradients)]


def _remember(path: Path, figures: _Figures) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(figures)))
    except OSError:
        pass  # a folder that cannot be written: the next process checks again


def _digest(key: tuple[str, ...]) -> str:
    place = _gpu() if key[1] == "gpu" else _cpu()
    text = json.dumps([*key, place, *_versions(), _sources(key[0])])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@cache
def _cpu() -> str:
    """What numba compiles for."""
    name = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    features = numba.config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
    return f"{name} ({features})"


def _gpu() -> str:
    driver = getattr(torch._C, "_cuda_getDriverVersion", lambda: "unknown")()
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, driver {driver}"


@cache
def _versions() -> tuple[str, ...]:
    found = [np.__version__]
    for package in ("coffea-equitag", "numba", "llvmlite", "torch", "triton"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"no {package}")
    return tuple(found)


@cache
def _sources(tower: str) -> str:
    """What tells one state of the source code from another, wherever it is installed."""
    root = Path(__file__).parent.parent
    places = [root / "kernels" / tower, root / "kernels" / "common", root / "layers", root / "invariants"]
    stamp = hashlib.sha256()
    for path in (path for place in places for path in sorted(place.rglob("*.py"))):
        stamp.update(hashlib.sha256(path.read_bytes()).digest())
    return stamp.hexdigest()
