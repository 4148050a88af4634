"""Training against the worst small change of the inputs (Miyato et al. 2017, https://arxiv.org/abs/1605.07725).

B sequences, T steps, E features of a step, C classes. The change of a sequence is as long as `size` deviations of its
own features over its steps, whatever their scale: so the network cannot get away from it by making the embedding
larger, which the paper prevents by normalising that.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_lightning.layers.padding import valid_steps

_PROBE = 0.1
"""Length of the change, in deviations, by which the direction of the worst one is found."""
_TINY = 1e-12
"""Below the length of any gradient."""


def adversarial_change(losses: Tensor, x: Tensor, lengths: Tensor, size: float) -> Tensor:
    """The change that makes the losses grow most, to the first order: r = size * s * g / |g|, g the gradient.

    Args:
        losses: of each sequence (B,), computed from `x`.
        x: the inputs (B, T, E), which require a gradient.
        lengths: valid steps of each sequence (B,).
        size: length of the change, in deviations s of the features.
    """
    (gradient,) = torch.autograd.grad(losses.sum(), x, retain_graph=True)
    return _of_length(gradient, x, lengths, size)


def virtual_adversarial_losses(
    log_probabilities: Callable[[Tensor], Tensor], x: Tensor, lengths: Tensor, before: Tensor, size: float
) -> Tensor:
    """How far the worst change moves the answers of each sequence, KL(before | after), in nats (B,); it needs no label.

    Args:
        log_probabilities: from inputs (B, T, E) to those of the classes (B, C).
        x: the inputs (B, T, E).
        lengths: valid steps of each sequence (B,).
        before: the answers without a change (B, C).
        size: length of the change, in deviations of the features.
    """
    before = before.detach()
    # One step of power iteration: the direction in which the divergence grows most, from a random one.
    probe = _of_length(torch.randn_like(x), x, lengths, _PROBE).requires_grad_()
    divergence = _divergence(before, log_probabilities(x.detach() + probe))
    (gradient,) = torch.autograd.grad(divergence.sum(), probe)
    return _divergence(before, log_probabilities(x + _of_length(gradient, x, lengths, size)))


def _of_length(direction: Tensor, x: Tensor, lengths: Tensor, size: float) -> Tensor:
    """A change of each sequence in this direction, its padding left alone."""
    valid = valid_steps(lengths, x.size(1)).unsqueeze(2)
    direction = direction.detach() * valid
    norms = direction.flatten(1).norm(dim=1).clamp(min=_TINY)
    change: Tensor = direction * (size * _deviation(x.detach(), valid) / norms)[:, None, None]
    return change


def _deviation(x: Tensor, valid: Tensor) -> Tensor:
    """Of each sequence, the root mean square over its features of their deviation over its steps (B,)."""
    count = valid.sum(1).clamp(min=1)
    mean = (x * valid).sum(1) / count
    deviation: Tensor = (((x - mean.unsqueeze(1)) * valid).square().sum(1) / count).mean(1).sqrt()
    return deviation


def _divergence(before: Tensor, after: Tensor) -> Tensor:
    """KL divergence of each row (B,) of log probabilities (B, C)."""
    return (before.exp() * (before - after)).sum(1)
