"""The linear recurrence that layers without a recurrent matrix come down to.

B sequences, T steps, H features. `*` is elementwise; every feature runs by itself.

    h_t = a_t * h_{t-1} + b_t        for t = 1 ... T, from h_0

The gradient runs the same recurrence from the other end. With G_t that of h_t as an output alone and g_t all of it,

    g_t = a_{t+1} * g_{t+1} + G_t,   g_T = G_T
    the gradient of b_t is g_t, of a_t g_t * h_{t-1}, of h_0 a_1 * g_1

Both are computed as they stand, with a and b of any sign: no logarithms, and no running product of a to divide by,
which would underflow within a hundred steps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """All states of h_t = a_t * h_{t-1} + b_t.

    One operation a step on a CPU, about ten for each doubling of T on a GPU (not run on a GPU). Differentiable once.

    Args:
        a: the factors (B, T, H), T at least 1.
        b: the summands (B, T, H).
        initial: the state before the first step, h_0 (B, H).

    Returns:
        h_1 ... h_T (B, T, H), in the type of `initial`; computed in 32 bits at least, under autocast too.
    """
    exact = torch.promote_types(initial.dtype, torch.float32)
    arguments = (tensor.to(exact) for tensor in (a, b, initial))
    h: Tensor = _Scan.apply(*arguments)  # type: ignore[no-untyped-call]  # torch does not declare it
    return h.to(initial.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
        h = b.clone()
        _solve_(a, h, initial)
        ctx.save_for_backward(a, initial, h)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a, initial, h = ctx.saved_tensors
        g = grad.clone()
        _solve_(a[:, 1:], g[:, :-1], g[:, -1], backwards=True)
        grad_a = torch.empty_like(g)
        torch.mul(g[:, 0], initial, out=grad_a[:, 0])
        torch.mul(g[:, 1:], h[:, :-1], out=grad_a[:, 1:])
        return grad_a, g, a[:, 0] * g[:, 0]


def _solve_(a: Tensor, h: Tensor, initial: Tensor, backwards: bool = False) -> None:
    (by_doubling_ if h.is_cuda else by_loop_)(a, h, initial, backwards)


def by_loop_(a: Tensor, h: Tensor, initial: Tensor, backwards: bool = False) -> None:
    """Runs the recurrence step after step.

    Args:
        a: the factors (B, T, H).
        h: holds the summands at first and the states in the end (B, T, H).
        initial: the state before the first step (B, H).
        backwards: begin at the last step.
    """
    steps = list(zip(a.unbind(1), h.unbind(1), strict=True))
    for a_t, h_t in reversed(steps) if backwards else steps:
        initial = h_t.addcmul_(a_t, initial)


def by_doubling_(a: Tensor, h: Tensor, initial: Tensor, backwards: bool = False) -> None:
    """Runs the recurrence in log2 T rounds over all steps at once (Hillis and Steele 1986); arguments as `by_loop_`.

    Before a round each step holds what the `span` steps up to it do to the state before them: a factor and a summand.
    The round joins them to those of the `span` steps before, (a', b') then (a, b) being (a * a', a * b' + b).

    https://doi.org/10.1145/7902.7903. Not run on a GPU.
    """
    factor, summand = (a.flip(1), h.flip(1)) if backwards else (a, h.clone())
    summand[:, :1].addcmul_(factor[:, :1], initial.unsqueeze(1))
    # In 32 bits a product of factors near 1 is always rounded in the same direction.
    factor = factor.double()
    span = 1
    while span < h.size(1):
        joined = torch.addcmul(summand[:, span:], factor[:, span:].to(h.dtype), summand[:, :-span])
        summand = torch.cat((summand[:, :span], joined), 1)
        factor = torch.cat((factor[:, :span], factor[:, span:] * factor[:, :-span]), 1)
        span *= 2
    h.copy_(summand.flip(1) if backwards else summand)
