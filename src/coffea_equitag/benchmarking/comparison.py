"""Times all implementations of a network in turn on the same jets."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from .. import kernels
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from . import networks
from .clock import Spread, in_turn, seconds_of
from .forms import OURS, REFERENCE, forms_of
from .memory import Ask, growth
from .peak_flops import measured_peak
from .workloads import WORKLOADS, random_jets, representative

__all__ = ["compare"]

#: Forms whose memory is not measured: it is that of "padded to the largest", scaled.
_NO_MEMORY = ("padded to 128", "padded to 200")


def compare(
    kind: str,
    workload: str,
    backward: bool,
    *,
    batch: int | None,
    seconds: float,
    rounds: tuple[int, int],
    device: str,
    ask: Ask | None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Time one pass of one network over one workload in every form.

    Parameters
    ----------
    kind, workload : str
        One of `coffea_equitag.models.names` and one of `WORKLOADS`.
    backward : bool
        With gradients, in training mode.
    batch : int or None
        Number of jets.
    seconds : float
        Time for the repetitions; a form that would exceed its share gets fewer jets.
    rounds : (int, int)
        Minimum and maximum number of repetitions.
    device : str
        Where to compute.
    ask : callable or None
        From `memory_server`; None skips the memory.
    options : mapping, optional
        Options of the network.

    Returns
    -------
    dict
        Serializable as JSON: what was run, what dispatch chose, and for each of the ``forms`` the number of jets it was
        timed on, milliseconds per jet, jets per second, time relative to `OURS` (round by round), the fraction of the
        measured peak, the peak memory for those jets, and the largest deviation of the logits of ten jets from those
        of the reference layers in float64, relative to their rms. Times of fewer jets than the batch has are scaled
        by ``scale`` to the batch's number of pairs per jet.
    """
    model = networks.build(kind, device, options)
    jets = random_jets(WORKLOADS[workload], batch or networks.BATCHES.get(model.kind, 100), model.fields).to(
        torch.device(device)
    )
    passes: dict[str, Callable[[], Tensor]] = {}
    numbers: dict[str, int] = {}
    scale: dict[str, float] = {}
    forms_here = forms_of(model, jets)
    for name, prepare in forms_here.items():
        share = seconds / rounds[0] / len(forms_here) * (5 if name == OURS else 1)
        numbers[name] = min(
            jets.num_jets, max(1, int(share / _seconds_per_jet(model, prepare, jets, backward, device)))
        )
        some = representative(jets, numbers[name])
        passes[name] = networks.one_pass(model, prepare(some), backward)
        # the few jets of a slow form have a different number of pairs on average; padded, all jets cost the same
        scale[name] = 1.0 if "padded" in name else _work(model, jets) / _work(model, some)
    few = representative(jets, 10)
    flops = _flops(model, few, backward) * _work(model, jets) / _work(model, few)
    differ = _deviations(model, jets, min(10, jets.num_jets)) if not backward else {}
    passes[OURS]()
    choice = kernels.last_choice(model.kind)
    peaks: list[float] = []
    idle = None if device != "cpu" else lambda: peaks.append(measured_peak(1))
    times = in_turn(passes, seconds, device, rounds, idle)
    each = {name: [1e3 * value * scale[name] / numbers[name] for value in found] for name, found in times.items()}
    peak = max(peaks, default=0.0)
    forms = {}
    for name, found in each.items():
        spread = Spread.of(found)
        rate = flops / spread.median * 1e3
        forms[name] = {
            "jets": numbers[name],
            "ms": asdict(spread),
            "jets_per_second": 1e3 / spread.median,
            "times_ours": asdict(Spread.of([a / b for a, b in zip(found, each[OURS], strict=True)])),
            "of_peak": rate / peak if peak and flops and name in (OURS, REFERENCE) else None,
            "bytes": _bytes(ask, kind, workload, jets, numbers[name], name, backward, passes[name], device, options),
            "scale": scale[name],
            "differs": differ.get(name),
        }
    return {
        "model": kind,
        "workload": workload,
        "pass": networks.PASSES[backward],
        "batch": jets.num_jets,
        "constituents": {"mean": float(jets.counts.double().mean()), "largest": int(jets.counts.max())},
        "kernel": choice.kernel if choice else "reference",
        "reason": choice.reason if choice else "no kernels for this network",
        "precision": choice.precision if choice else "float32",
        "gflop_per_jet": flops / 1e9,
        "peak_gflops": peak / 1e9 or None,
        "rounds": len(times[OURS]),
        "forms": forms,
    }


def _seconds_per_jet(
    model: JetModel,
    prepare: Callable[[RaggedJets], Callable[[], Tensor]],
    jets: RaggedJets,
    backward: bool,
    device: str,
) -> float:
    """Measured with one jet, and with more if that was fast."""
    for number in (1, 4, 16):
        some = representative(jets, number)
        task = networks.one_pass(model, prepare(some), backward)
        for _ in range(2 if number == 1 else 0):
            task()  # compiles, or loads compiled code; some is for networks that were called before
        spent = seconds_of(task, device)
        if spent > 0.02 or some.num_jets == jets.num_jets:
            break
    return spent / some.num_jets


def _flops(model: JetModel, jets: RaggedJets, backward: bool) -> float:
    """Operations per jet in the matrix products of the reference layers; gradients cost twice as many again."""
    model.requires_grad_(False)  # the counter would follow gradients
    with torch.no_grad(), kernels.use("reference"), FlopCounterMode(display=False) as counter:
        model.eval()(jets)
    model.requires_grad_(True)
    return float(counter.get_total_flops()) / jets.num_jets * (3 if backward else 1)


def _work(model: JetModel, jets: RaggedJets) -> float:
    """Mean number of pairs, or of constituents, per jet."""
    n = (jets.counts + model.extra_nodes).double()
    return float((n.square() if model.sees_pairs else n).mean())


def _deviations(model: JetModel, batch: RaggedJets, number: int) -> Mapping[str, float]:
    """Largest deviation of the logits of some jets from the reference layers in float64, relative to their rms."""
    jets = representative(batch, number)
    found = {
        name: networks.one_pass(model, prepare(jets), False)().double()
        for name, prepare in forms_of(model, batch).items()
    }
    exact = copy.deepcopy(model).double()
    expected = networks.one_pass(exact, forms_of(exact, batch)[REFERENCE](jets), False)()
    scale = expected.square().mean().sqrt()
    return {name: float((logits - expected).abs().max() / scale) for name, logits in found.items()}


def _bytes(
    ask: Ask | None,
    kind: str,
    workload: str,
    jets: RaggedJets,
    number: int,
    form: str,
    backward: bool,
    task: Callable[[], Any],
    device: str,
    options: Mapping[str, Any] | None,
) -> float | None:
    if device != "cpu":
        return growth(task, device)
    if ask is None or form in _NO_MEMORY:
        return None
    answer = ask(
        "one_batch",
        kind=kind,
        workload=asdict(WORKLOADS[workload]),
        batch=jets.num_jets,
        jets=number,
        form=form,
        backward=backward,
        options=dict(options or {}),
    )
    return None if answer is None else answer["bytes"]
