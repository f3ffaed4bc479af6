"""What rounding may do to a network: bounds that follow from float32 arithmetic, whichever processor does it.

Each operation rounds its result to float32; a sum does so many times, in an order that processors and libraries choose
for themselves. What comes of it in the outputs is measured here: the layers run again with random errors of one unit
in the last place in the operands of all operations (Monte Carlo arithmetic), as often as gives them the variance of
rounding, 1/12 of the unit squared. So sums that cancel, and values at the edge of a ReLU, count for what they are.
What is float64 in the network stays as it is.

A bound is `FACTOR` times the largest deviation among such runs: a factor of 2 because the worst of a few runs is not
the worst of all; one of 2 because two results are compared, each off in its own way, after sums in orders of their own;
and one of 2 because exponentials and their like are allowed errors of two units or so. What was found, by
any instruction set, is 0.02 to 0.25 of it. An error of 1e-3 in one weight is seen (test_arithmetic.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from coffea_equitag import kernels

#: Logits, gradients of parameters and perhaps running statistics.
Results = tuple[Any, ...]

FACTOR = 8
EPSILON = torch.finfo(torch.float32).eps

#: Operations that round nothing.
MOVES = {f"aten::{name}" for name in ("cat", "clone", "copy_", "gather", "index", "index_select", "stack", "where")}


def rounding(function: Callable[..., torch.Tensor], *arguments: Any) -> float:
    """The largest deviation, relative to the outputs' rms, that rounding explains in ``function(*arguments)``."""
    with torch.no_grad():
        outputs = moved_by_rounding(lambda: function(*arguments))
        exact = next(outputs)
        worst = [deviation(next(outputs), exact) for _ in range(draws(exact))]
    return FACTOR * max(EPSILON, *worst)


def rounding_of_scores(tagger: Any, jets: Any) -> float:
    """How far a tagger's scores may be off, between 0 and 1."""
    return rounding(lambda: tagger.model(jets).softmax(1))


def rounding_of_step(step: Callable[[], Results]) -> dict[str, float]:
    """The same for each result of a step of training, by its name, as a size and not in units of what is expected.

    `step` must leave what it begins with as it is. What is nothing but noise, as the gradient of a bias before a
    BatchNorm, has the noise of the layers here; below ε² of the largest of all there is nothing else. Eight runs, since
    some gradients are one number.
    """
    runs = (named(results) for results in moved_by_rounding(step))
    exact = next(runs)
    least = EPSILON**2 * max(map(largest, exact.values()), default=0.0)
    worst = {name: max(least, EPSILON * largest(values)) for name, values in exact.items()}
    for _ in range(8):
        for name, values in next(runs).items():
            worst[name] = max(worst[name], largest(values - exact[name]))
    return {name: FACTOR * value for name, value in worst.items()}


def assert_step_agrees(
    step: Callable[..., Results], model: Any, jets_of: Callable[[int], Any], mode: str = "cpu", **more: Any
) -> None:
    """A step by a kernel, ``step(model, jets, mode)``, is that of the layers in double precision but for rounding.

    For one of the seeds that `jets_of` makes jets of: an activation within rounding of 0 may fall on its other side,
    where gradients jump, and no run need show it.
    """
    for seed in range(4):
        jets = jets_of(seed)
        allowed = rounding_of_step(lambda jets=jets: step(copy.deepcopy(model), jets, "reference"))
        expected = step(copy.deepcopy(model).double(), jets, "reference")
        try:
            return assert_same_step(step(copy.deepcopy(model), jets, mode), expected, allowed, **more)
        except AssertionError:
            if seed == 3:
                raise
    return None


def assert_same_step(
    found: Results, expected: Results, allowed: dict[str, float], *, edges: float = 0.0, zeros_for_none: bool = False
) -> None:
    """Logits, gradients and statistics deviate by no more than what is allowed, each by its name.

    `edges` allows each gradient that share of its largest value (of 3e-3 of all gradients' largest, at least) for
    activations that fall on the other side of 0. Where there is no gradient there may be zeros if that is said.
    """
    one, other = named(found), named(expected)
    top = max((largest(values) for name, values in other.items() if name.startswith("gradient")), default=0.0)
    for name in one.keys() | other.keys():
        if name not in other:
            assert zeros_for_none, name
            assert not one[name].any(), name
            continue
        assert one[name].shape == other[name].shape, name
        bound = allowed[name]
        if name.startswith("gradient"):
            bound += edges * max(largest(other[name]), 3e-3 * top)
        off = largest(one[name] - other[name])
        assert off <= bound, f"{name} is off by {off:.2g}, {bound:.2g} allowed"


def named(results: Results) -> dict[str, torch.Tensor]:
    """Logits, and gradients and statistics by the names of their parameters and buffers, in double precision."""
    logits, gradients, *statistics = results
    every = {"logits": logits, **{f"gradient of {name}": value for name, value in gradients.items()}}
    for buffers in statistics:
        every |= buffers
    return {name: values.detach().double().cpu() for name, values in every.items() if values is not None}


def largest(values: torch.Tensor) -> float:
    """The largest absolute value, 0 of none."""
    return float(values.abs().max()) if values.numel() else 0.0


def draws(outputs: torch.Tensor) -> int:
    """As many runs as give two dozen deviations, 3 at least."""
    return max(3, 24 // outputs.numel()) if outputs.numel() else 1


def moved_by_rounding(function: Callable[[], Any]) -> Iterator[Any]:
    """What the layers give in `function`, first as it is and then, again and again, with random roundings."""
    generator = torch.Generator().manual_seed(0)
    with kernels.use("reference"):
        yield function()
    while True:
        with kernels.use("reference"), _RandomRounding(generator):
            outputs = function()
        yield outputs


def deviation(found: torch.Tensor, expected: Any) -> float:
    """Largest deviation, by the rms of what is expected."""
    found, expected = found.detach(), torch.as_tensor(expected).detach()
    if not expected.numel():
        return 0.0
    return float((found - expected).abs().max() / expected.square().mean().sqrt())


class _RandomRounding(TorchDispatchMode):
    """Changes float32 operands, except those that are written to or viewed, by random units in the last place."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket._qualified_op_name not in MOVES:
            roles = func._schema.arguments
            args = [value if role.alias_info else self._moved(value) for value, role in zip(args, roles, strict=False)]
        return func(*args, **(kwargs or {}))

    def _moved(self, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._moved(entry) for entry in value]
        if not isinstance(value, torch.Tensor) or value.dtype != torch.float32 or not value.numel():
            return value
        errors, size = _errors(value.device), value.numel()
        errors = errors.roll(int(torch.randint(len(errors), (1,), generator=self.generator)))
        given, moved = value.reshape(-1), torch.empty_like(value, memory_format=torch.contiguous_format)
        rows = slice(0, size - size % len(errors))
        torch.mul(given[rows].view(-1, len(errors)), errors, out=moved.view(-1)[rows].view(-1, len(errors)))
        torch.mul(given[rows.stop :], errors[: size - rows.stop], out=moved.view(-1)[rows.stop :])
        return moved


@cache
def _errors(device: torch.device) -> torch.Tensor:
    """Factors 1 ± ε, one in 24 each, among those of 1; a prime number of them, which no width divides."""
    drawn = torch.randint(24, (65_537,), generator=torch.Generator().manual_seed(0))
    return (1 + EPSILON * ((drawn == 0).float() - (drawn == 1).float())).to(device)
