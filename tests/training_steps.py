"""What tests of training do: one step, by a kernel or by the layers, and what came of it."""

from __future__ import annotations

import torch

from coffea_equitag import kernels


def step(model, jets, mode):
    """Logits, gradients and statistics of one forward and backward pass, on the CPU."""
    with kernels.use(mode):
        logits = model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    return results(model, logits)


def two_steps(model, jets, mode):
    """The second of two on the same jets: statistics have followed twice."""
    step(model, jets, mode)
    return step(model, jets, mode)


def losses_of_training(model, batches, mode):
    """Losses of one step of AdamW per batch, half of whose jets are of one class."""
    optimizer, found = torch.optim.AdamW(model.parameters(), lr=1e-3), []
    for number, batch in enumerate(batches):
        torch.manual_seed(number)
        with kernels.use(mode):
            logits = model(batch)
        labels = torch.arange(len(logits), device=logits.device) % 2
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.detach().cpu())
    return torch.stack(found)


def forward(model, jets, mode):
    """Logits and statistics of two passes without gradients."""
    with torch.no_grad(), kernels.use(mode):
        _, logits = model(jets), model(jets)
    assert kernels.last_choice(model.kind).kernel == mode
    return logits, {}, dict(model.named_buffers())


def results(model, logits):
    """Those of a backward pass from logits."""
    model.zero_grad()
    weights = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).reshape(logits.shape).to(logits.device)
    (torch.log_softmax(logits, 1) * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    gradients = {name: None if gradient is None else gradient.cpu() for name, gradient in gradients.items()}
    return logits.detach().cpu(), gradients, {name: buffer.cpu().clone() for name, buffer in model.named_buffers()}


def rms(values):
    return float(values.square().mean().sqrt())
