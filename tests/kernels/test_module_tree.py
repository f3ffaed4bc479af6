"""What a network consists of is found once, and again whenever a part of it, or one of its numbers, is another."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import pytest
import torch
from torch import nn

import coffea_equitag as eqt
from coffea_equitag import kernels
from coffea_equitag.kernels.common import folding, numbers
from coffea_equitag.kernels.common.folding import folded
from coffea_equitag.kernels.module_tree import held, learns, modules_of, tree_of
from kernel_forms import needs_vectors, run


def made(model):
    return object()


def first_linear(model):
    return next(module for module in model.modules() if isinstance(module, nn.Linear))


def step_of_optimiser(model):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()


def through_numpy(model):
    first_linear(model).weight.detach().numpy()[0, 0] += 1


def replace_module(model):
    name = next(name for name, module in model.named_modules() if isinstance(module, nn.Linear))
    old = model.get_submodule(name)
    new = nn.Linear(old.in_features, old.out_features, bias=old.bias is not None)
    new.load_state_dict(old.state_dict())
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)


def reshape(model):
    matrix = next(p for p in model.parameters() if p.ndim == 2 and p.shape[0] != p.shape[1])
    matrix.data = matrix.data.view(matrix.shape[::-1])


def load(model, assign):
    model.load_state_dict({name: value.clone() + 1 for name, value in model.state_dict().items()}, assign=assign)


CHANGES = {
    "in place": lambda model: next(model.parameters()).data.mul_(2).add_(1),
    "by numpy": through_numpy,
    "one number of the last": lambda model: [*model.parameters()][-1].data.view(-1)[-1].add_(1),
    "NaN": lambda model: next(model.parameters()).data.fill_(torch.nan),
    "optimiser": step_of_optimiser,
    "load_state_dict": lambda model: load(model, assign=False),
    "load_state_dict, assigned": lambda model: load(model, assign=True),
    "other memory": lambda model: setattr(next(model.parameters()), "data", next(model.parameters()).data + 1),
    "other shape": reshape,
    "other parameter": lambda model: setattr(
        first_linear(model), "weight", nn.Parameter(first_linear(model).weight.detach() + 1)
    ),
    "other module": replace_module,
    "to float64": lambda model: model.double(),
    "parametrised": lambda model: nn.utils.parametrizations.weight_norm(first_linear(model)),
}


@pytest.fixture(scope="module")
def networks():
    return {kind: eqt.models.build(kind).eval() for kind in eqt.models.names()}


@pytest.mark.parametrize("kind", eqt.models.names())
def test_every_change_is_noticed(networks, kind):
    for name, change in CHANGES.items():
        model = copy.deepcopy(networks[kind])
        before = folded(model, made)
        assert folded(model, made) is before
        change(model)
        after = folded(model, made)
        assert after is not before, name
        assert folded(model, made) is after, name


@pytest.mark.parametrize("kind", eqt.models.names())
def test_what_a_network_consists_of(networks, kind):
    model = networks[kind]
    tree = tree_of(model)
    assert tree_of(model) is tree
    assert {id(module) for module in modules_of(model)} == {id(module) for module in model.modules()}
    assert {id(one) for one in tree.parameters} == {id(one) for one in model.parameters()}
    assert {id(one) for one in tree.buffers} == {id(one) for one in model.buffers()}
    first, device = next(model.parameters()), next(model.parameters()).device
    assert model.dtype == first.dtype
    assert model.device == device


def test_parts_that_are_replaced():
    class Doubled(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    for change in (
        lambda: model.append(nn.ReLU()),
        lambda: model.__delitem__(1),
        lambda: model.__setitem__(0, nn.Linear(2, 3)),
        lambda: setattr(model[0], "__class__", Doubled),
        lambda: setattr(model[0], "bias", None),
        lambda: model[0].register_buffer("more", torch.zeros(1)),
        lambda: setattr(model[0], "_parameters", dict(model[0]._parameters)),
    ):
        before = tree_of(model)
        change()
        tree = tree_of(model)
        assert tree is not before
        assert tree_of(model) is tree
        assert modules_of(model)[1:] == tree.below
        assert tree.kinds == {type(module) for module in [*model.modules()][1:]}


def test_modes_are_read_at_every_call():
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout()).eval()
    with torch.no_grad():
        assert not learns(model)
        model[1].train()
        assert learns(model)
    assert learns(model.eval())
    assert not learns(model.requires_grad_(False))
    assert learns(model, torch.zeros(1, requires_grad=True))


def test_parts_are_held_for_one_call_in_one_thread():
    model = nn.Sequential(nn.Linear(2, 3))
    with held(model):
        before = tree_of(model)
        model.append(nn.ReLU())
        assert tree_of(model) is before
        other = []
        thread = threading.Thread(target=lambda: other.append(tree_of(model)))
        thread.start()
        thread.join()
        assert other[0] is not before
    assert tree_of(model) is other[0]
    with pytest.raises(ZeroDivisionError), held(model):
        raise ZeroDivisionError
    model.append(nn.ReLU())
    assert tree_of(model) is not other[0]


def test_nothing_is_kept_beyond_the_network():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    folded(model, made)
    gc.collect()
    trees, folds = len(kernels.module_tree._known), len(folding._known)
    for _ in range(5):
        model[0] = nn.Linear(2, 3)
        folded(model, made)
    assert (len(kernels.module_tree._known), len(folding._known)) == (trees, folds)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert (len(kernels.module_tree._known), len(folding._known)) == (trees - 1, folds - 1)


def test_numbers_in_any_memory():
    model = nn.Linear(3, 5)
    for weight in (torch.randn(3, 5).T, torch.randn(7, 9)[1:6, 2:5], torch.randn(16)[1:].view(5, 3)):
        model.weight.data = weight
        known = numbers.Numbers(model)
        assert known.still_of(model)
        model.weight.data = weight.clone()
        assert known.still_of(model)
        model.weight.data[4, 2] += 1
        assert not known.still_of(model)
    model.register_buffer("odd", torch.zeros(3, dtype=torch.bool))
    known = numbers.Numbers(model)
    assert known.still_of(model)
    model.odd[2] = True
    assert not known.still_of(model)


@needs_vectors
def test_scores_follow_a_change_of_each_kind(random_jets):
    jets = eqt.RaggedJets.from_awkward(random_jets([4, 1]))
    for name in ("in place", "by numpy", "optimiser", "load_state_dict, assigned", "other memory", "other parameter"):
        torch.manual_seed(0)
        model = eqt.models.build("pfn", phi=[8], f=[8]).eval()
        # units that no constituent activates would hide a change of theirs
        first_linear(model).bias.data.fill_(10.0)
        before = run(model, jets)
        CHANGES[name](model)
        found = run(model, jets)
        assert not torch.equal(found, before), name
        with torch.no_grad(), kernels.use("reference"):
            torch.testing.assert_close(found, model(jets))


@needs_vectors
def test_hooks_and_layers_that_come_later(random_jets):
    jets = eqt.RaggedJets.from_awkward(random_jets([4, 1]))
    model, seen = eqt.models.build("pfn", phi=[8], f=[8]).eval(), []
    run(model, jets)
    hook = model.phi[0].register_forward_hook(lambda *given: seen.append(given))
    with torch.no_grad():
        model(jets)
        assert len(seen) == 1
        hook.remove()
        run(model, jets)
        model.phi[2] = nn.Tanh()
        model(jets)
    assert kernels.last_choice("pfn").reason == "layers were replaced"
