"""A batch in pieces: they follow from the jets alone, and so do gradients and running statistics."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from coffea_equitag import RaggedJets, fit, kernels, models
from coffea_equitag.training.data import InMemory, LabelledJets
from coffea_equitag.training.loop.batch_statistics import BatchStatistics, has_batch_norm
from coffea_equitag.training.loop.module import Batch, Progress, Training
from coffea_equitag.training.loop.pieces import pieces
from coffea_equitag.training.objectives import Classification
from coffea_equitag.training.recipes import recipe_of

QUICK = {"epochs": 2, "device": "cpu", "progress": False, "seed": 4}


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.integers(1, 15),
    st.one_of(st.none(), st.integers(1, 120)),
    st.integers(0, 2),
)
@example([0, 9, 0], 3, 1, 0)
def test_every_jet_once_within_both_limits(random_jets, counts, most, budget, extra):
    jets = RaggedJets.from_awkward(random_jets(counts))
    parts = list(pieces(jets, most, budget, extra))
    assert torch.equal(torch.cat([part.p4 for part in parts]), jets.p4)
    assert sum(part.num_jets for part in parts) == len(counts)
    for part in parts:
        assert 1 <= part.num_jets <= most
        assert budget is None or part.num_jets == 1 or int(((part.counts + extra) ** 2).sum()) <= budget


def test_pieces_are_about_equally_large(random_jets):
    # 10 jets of 16 pairs within 100: not 6 and 4, but two of 5
    jets = RaggedJets.from_awkward(random_jets([4] * 10))
    assert [part.num_jets for part in pieces(jets, 100, 100, 0)] == [5, 5]
    # jets of a batch of four accumulated ones
    assert [part.num_jets for part in pieces(jets, 4, None, 0)] == [4, 4, 2]


def trained(toy, model, **values):
    """The network after one batch of 24 jets, its gradients and the batch's loss."""
    sample = LabelledJets.of(toy(24), "label", 2)
    recipe = recipe_of("pfn", {"batch_size": values.pop("batch_size", 24), "accumulate": values.pop("accumulate", 1)})
    module = Training(
        model.train(),
        Classification(1),
        InMemory(sample, 2, batch_size=24),
        lambda: iter(()),
        recipe,
        epochs=1,
        seed=3,
        class_weights=(1.0, 1.0),
        progress=Progress(pair_budget=values.pop("pair_budget", None)),
        optimizer_state=None,
    )
    loss, _ = module.accumulate(Batch(sample))
    return {name: p.grad.clone() for name, p in model.named_parameters()}, float(loss)


def test_running_statistics_are_the_mean_over_the_pieces(toy):
    def build():
        torch.manual_seed(1)
        return models.build("pfn", phi=(6,), f=(6,), batch_norm=True)

    whole = build()
    trained(toy, whole)
    model, jets = build(), RaggedJets.from_awkward(toy(24))
    trained(toy, model, batch_size=12, accumulate=2)
    halves = [build().train() for _ in range(2)]
    for half, first in zip(halves, (0, 12), strict=True):
        half(jets.slice(first, first + 12))
    for name, buffer in model.named_buffers():
        expected = [half.get_buffer(name) for half in halves]
        if buffer.is_floating_point():
            torch.testing.assert_close(buffer, (expected[0] + expected[1]) / 2, rtol=1e-6, atol=0)
        else:
            assert buffer == expected[0] == 1
    # they are not those of the whole batch, nor those after one piece after another
    norm = next(name for name, _ in model.named_buffers() if name.endswith("running_var"))
    assert not torch.allclose(model.get_buffer(norm), whole.get_buffer(norm), rtol=1e-4)
    halves[0](jets.slice(12, 24))
    assert not torch.allclose(model.get_buffer(norm), halves[0].get_buffer(norm), rtol=1e-4)


def test_statistics_do_not_depend_on_who_processes_a_piece(toy):
    torch.manual_seed(1)
    model = models.build("pfn", phi=(6,), f=(6,), batch_norm=True).train()
    jets = RaggedJets.from_awkward(toy(24))
    parts = list(pieces(jets, 8, None, 0))

    def shares(mine):
        statistics = BatchStatistics(model)
        for part in mine:
            model(part)
            statistics.add(part.num_jets / 24)
        return statistics

    together = shares(parts)
    one, two = shares(parts[::2]), shares(parts[1::2])
    for total, a, b in zip(together.sums, one.sums, two.sums, strict=True):
        torch.testing.assert_close(total, a + b, rtol=1e-6, atol=1e-7)
    before = [buffer.clone() for buffer in model.buffers()]
    together.finish()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True))


def test_kernel_and_layers_train_on_the_same_pieces(toy, build_small):
    results = {}
    for how in ("auto", "reference"):
        with kernels.use(how):
            model = build_small(dropout=0.0)
            results[how] = *trained(toy, model), {name: b.clone() for name, b in model.named_buffers()}
    assert results["auto"][1] == pytest.approx(results["reference"][1], rel=1e-5)
    for name, buffer in results["auto"][2].items():
        torch.testing.assert_close(buffer, results["reference"][2][name], rtol=1e-4, atol=1e-6)


def test_accumulated_batches_are_one_large_batch(tmp_path, toy):
    ends = {}
    for name, values in {
        "accumulated": {"batch_size": 8, "accumulate": 3},
        "large": {"batch_size": 24},
        "small": {"batch_size": 8},
    }.items():
        torch.manual_seed(1)
        fit(models.build("pfn", phi=(6,), f=(6,)), toy(100), out=tmp_path / name, **QUICK, **values)
        ends[name] = torch.load(tmp_path / name / "last.ckpt", weights_only=True)
    steps = {name: float(end["optimizer"]["state"][0]["step"]) for name, end in ends.items()}
    assert steps == {"accumulated": 8, "large": 8, "small": 24}
    for name, value in ends["large"]["model"].items():
        # gradients differ by rounding, of which Adam makes a step at most as large as the learning rate
        torch.testing.assert_close(ends["accumulated"]["model"][name], value, rtol=0, atol=1e-5)
        assert not torch.allclose(ends["small"]["model"][name], value, rtol=0, atol=1e-4)


def test_which_networks_have_batch_statistics():
    assert has_batch_norm(models.build("lorentznet", hidden=4, n_layers=1))
    assert not has_batch_norm(models.build("lgn", levels=1, channels=(2, 2), n_bells=2))
    assert not has_batch_norm(models.build("pfn"))


def test_gradients_of_pieces_add_up(toy):
    torch.manual_seed(1)
    model = models.build("pfn", phi=(6,), f=(6,))
    whole, loss = trained(toy, model)
    cut, same = trained(toy, model, pair_budget=200)
    assert loss == pytest.approx(same, rel=1e-6)
    for name, gradient in whole.items():
        scale = float(np.abs(gradient.numpy()).max())
        torch.testing.assert_close(cut[name], gradient, rtol=0, atol=24 * scale * 1e-6)
